#include "tokenizer/json_write.h"

#include <nlohmann/json.hpp>

#include <algorithm>

#include "base/error.h"
#include "tokenizer/base64.h"
#include "tokenizer/vocabulary.h"

namespace ingrain::tokenizer {
namespace {

using nlohmann::json;

const json kByteLevel{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};

json added_tokens_json(const TokenizerSpec& spec) {
  json out = json::array();
  for (const AddedToken& token : spec.added_tokens)
    out.push_back({{"id", token.id},
                   {"content", token.content},
                   {"single_word", token.single_word},
                   {"lstrip", token.lstrip},
                   {"rstrip", token.rstrip},
                   {"normalized", token.normalized},
                   {"special", token.special}});
  return out;
}

// -- steps ----------------------------------------------------------------------------------------------------

json normalizer_json(const TokenizerSpec& spec) {
  using Kind = NormalizerStep::Kind;
  constexpr const char* kForms[] = {"NFC", "NFD", "NFKC", "NFKD"};
  json steps = json::array();
  for (const NormalizerStep& step : spec.normalizer) {
    switch (step.kind) {
      case Kind::form: steps.push_back({{"type", kForms[static_cast<int>(step.form)]}}); break;
      case Kind::lowercase: steps.push_back({{"type", "Lowercase"}}); break;
      case Kind::prepend: steps.push_back({{"type", "Prepend"}, {"prepend", step.content}}); break;
      case Kind::replace:
      case Kind::replace_regex:
        steps.push_back({{"type", "Replace"},
                         {"pattern", {{step.kind == Kind::replace ? "String" : "Regex", step.pattern}}},
                         {"content", step.content}});
        break;
      case Kind::strip:
        steps.push_back({{"type", "Strip"}, {"strip_left", step.left}, {"strip_right", step.right}});
        break;
      case Kind::strip_accents: steps.push_back({{"type", "StripAccents"}}); break;
      case Kind::nmt: steps.push_back({{"type", "Nmt"}}); break;
      case Kind::charsmap:
        steps.push_back({{"type", "Precompiled"}, {"precompiled_charsmap", write_base64(step.content)}});
        break;
    }
  }
  if (steps.empty()) return nullptr;
  return steps.size() == 1 ? steps[0] : json{{"type", "Sequence"}, {"normalizers", steps}};
}

const char* name_of(PrependScheme scheme) {
  return scheme == PrependScheme::first ? "first" : scheme == PrependScheme::always ? "always" : "never";
}

json pre_tokenizer_json(const TokenizerSpec& spec) {
  json steps = json::array();
  for (const PreTokenizerStep& step : spec.pre_tokenizer) {
    if (step.pattern == digits_step(true).pattern)
      steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
    else if (step.kind == PreTokenizerStep::Kind::metaspace)
      steps.push_back({{"type", "Metaspace"},
                       {"replacement", step.pattern},
                       {"prepend_scheme", name_of(step.prepend)},
                       {"split", step.split}});
    else
      steps.push_back({{"type", "Split"},
                       {"pattern", {{"Regex", step.pattern}}},
                       {"behavior", step.behavior == SplitBehavior::removed ? "Removed" : "Isolated"},
                       {"invert", false}});
  }
  if (spec.alphabet == Alphabet::bytes) steps.push_back(kByteLevel);
  if (steps.empty()) return nullptr;
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

json decoder_json(const TokenizerSpec& spec) {
  using Kind = DecoderStep::Kind;
  if (spec.alphabet == Alphabet::bytes) return kByteLevel;
  json steps = json::array();
  bool fuse = false;
  for (const DecoderStep& step : spec.decoder) {
    const bool strip = step.kind == Kind::strip || step.kind == Kind::strip_text;
    if (step.kind == Kind::strip_text) steps.push_back({{"type", "Fuse"}});
    fuse = step.kind == Kind::byte_fallback;
    if (strip)
      steps.push_back(
          {{"type", "Strip"}, {"content", step.content}, {"start", step.at_beginning}, {"stop", step.at_end}});
    else if (step.kind == Kind::replace)
      steps.push_back({{"type", "Replace"}, {"pattern", {{"String", step.pattern}}}, {"content", step.content}});
    else if (step.kind == Kind::byte_fallback)
      steps.push_back({{"type", "ByteFallback"}});
    else
      steps.push_back({{"type", "Metaspace"},
                       {"replacement", step.pattern},
                       {"prepend_scheme", step.at_beginning > 0 ? "always" : "never"},
                       {"split", true}});
  }
  if (fuse) steps.push_back({{"type", "Fuse"}});
  if (steps.empty()) return nullptr;
  return {{"type", "Sequence"}, {"decoders", steps}};
}

// -- post-processor and model -------------------------------------------------------------------------------------

std::string content_of(const TokenizerSpec& spec, int32_t id) {
  for (const AddedToken& token : spec.added_tokens)
    if (token.id == id) return token.content;
  return spec.tokens[static_cast<size_t>(id)];
}

json template_json(const TokenizerSpec& spec) {
  if (spec.template_before.empty() && spec.template_after.empty()) return nullptr;
  json single = json::array(), special = json::object();
  const auto add = [&](const std::vector<int32_t>& ids) {
    for (const int32_t id : ids) {
      const std::string name = content_of(spec, id);
      single.push_back({{"SpecialToken", {{"id", name}, {"type_id", 0}}}});
      special[name] = {{"id", name}, {"ids", json::array({id})}, {"tokens", json::array({name})}};
    }
  };
  add(spec.template_before);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  add(spec.template_after);
  const json pair = json::array(
      {json{{"Sequence", {{"id", "A"}, {"type_id", 0}}}}, json{{"Sequence", {{"id", "B"}, {"type_id", 1}}}}});
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
}

json unigram_json(const TokenizerSpec& spec) {
  json vocab = json::array(), unk = nullptr;
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    // A token of its own for every id: where there is none, one that no text has.
    std::string token = spec.tokens[id];
    double score = spec.scores[id];
    if (token.empty() || score == TokenizerSpec::kNeverMerged) {
      token = token.empty() ? content_of(spec, static_cast<int32_t>(id)) : token;
      if (token.empty()) token = fmt::format("[unused {}]", id);
      score = 0;
    }
    if (spec.unk_token == token) unk = id;
    vocab.push_back({token, score});
  }
  return {{"type", "Unigram"}, {"unk_id", unk}, {"byte_fallback", spec.byte_fallback}, {"vocab", vocab}};
}

/// Of several ways to one token the one with the longer left part first, as transformers lists them.
json implied_merges_json(const TokenizerSpec& spec) {
  const Decoder decoder(spec.decoder);
  const Normalizer normalizer(spec.normalizer, spec.source);
  const Vocabulary vocabulary(spec, decoder, normalizer);
  std::vector<Merge> merges = vocabulary.merges(spec);
  std::stable_sort(merges.begin(), merges.end(), [&](const Merge& a, const Merge& b) {
    if (a.rank != b.rank) return a.rank < b.rank;
    if (a.result != b.result) return a.result < b.result;
    return vocabulary.surface(a.left).size() > vocabulary.surface(b.left).size();
  });
  json out = json::array();
  for (const Merge& merge : merges)
    out.push_back({std::string(vocabulary.surface(merge.left)), std::string(vocabulary.surface(merge.right))});
  return out;
}

json model_json(const TokenizerSpec& spec) {
  if (spec.model == ModelKind::unigram) return unigram_json(spec);
  json vocab = json::object(), merges = json::array();
  for (size_t id = 0; id < spec.tokens.size(); ++id)
    if (!spec.tokens[id].empty()) vocab[spec.tokens[id]] = id;
  // Other readers number an added token anew unless the vocabulary has it, too.
  for (const AddedToken& token : spec.added_tokens) vocab[token.content] = token.id;
  for (const auto& [left, right] : spec.merges) merges.push_back({left, right});
  if (spec.merges_by_score) merges = implied_merges_json(spec);
  json out{{"type", "BPE"},
           {"ignore_merges", spec.ignore_merges},
           {"byte_fallback", spec.byte_fallback},
           {"vocab", vocab},
           {"merges", merges}};
  if (spec.unk_token) out["unk_token"] = *spec.unk_token;
  if (spec.fuse_unk) out["fuse_unk"] = true;
  return out;
}

}  // namespace

std::string write_tokenizer_json(const TokenizerSpec& spec) {
  const json out{{"version", "1.0"},
                 {"added_tokens", added_tokens_json(spec)},
                 {"normalizer", normalizer_json(spec)},
                 {"pre_tokenizer", pre_tokenizer_json(spec)},
                 {"post_processor", template_json(spec)},
                 {"decoder", decoder_json(spec)},
                 {"model", model_json(spec)}};
  try {
    return out.dump();
  } catch (const json::exception&) {
    fail("{}: a token is not UTF-8, so that no tokenizer.json can have it", spec.source);
  }
}

}  // namespace ingrain::tokenizer
