#include "tokenizer/gguf_write.h"

#include "base/error.h"
#include "tokenizer/gguf_token_type.h"
#include "tokenizer/gguf_tokenizer.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <map>

namespace ingrain::tokenizer {
namespace {

struct GgufVocabulary {
  std::vector<std::string> tokens;
  std::vector<int32_t> types;
};

/// Rows without a token get names that no text has.
GgufVocabulary vocabulary_of(const Tokenizer& tokenizer, int32_t rows) {
  GgufVocabulary out;
  for (int32_t id = 0; id < rows; ++id) {
    std::string written = tokenizer.id_to_written(id);
    const bool none = written.empty();
    out.tokens.push_back(none ? fmt::format("[PAD{}]", id) : std::move(written));
    out.types.push_back(none ? GgufTokenType::unused : GgufTokenType::normal);
  }
  for (const AddedToken& added : tokenizer.added_tokens()) {
    const auto id = static_cast<size_t>(added.id);
    if (id >= out.tokens.size()) continue;
    out.tokens[id] = added.content;
    out.types[id] = added.special ? GgufTokenType::control : GgufTokenType::user_defined;
  }
  return out;
}

/// "a b", whether the file has that or ["a", "b"]; nothing where a part has a blank, which GGUF has no room for.
std::optional<std::vector<std::string>> merges_of(const nlohmann::json& model) {
  std::vector<std::string> out;
  for (const nlohmann::json& merge : model.at("merges")) {
    if (merge.is_string()) {
      out.push_back(merge.get<std::string>());
      continue;
    }
    const auto left = merge.at(0).get<std::string>(), right = merge.at(1).get<std::string>();
    if ((left + right).find(' ') != std::string::npos) return std::nullopt;
    out.push_back(fmt::format("{} {}", left, right));
  }
  return out;
}

/// A text in which a tokenizer that cuts otherwise shows: pieces of the vocabulary, and what rules speak of.
std::string probe_text(const Tokenizer& tokenizer) {
  std::string out =
      "It's 12345 67 o'clock, they'LL say: \"Don't!\"  \n\n\tx = a[10]+=3.14; // \xE4\xBD\xA0\xE5\xA5\xBD "
      "\xD0\x9F\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82 \xC3\xA9t\xC3\xA9 caf\x65\xCC\x81 \xF0\x9F\x98\x80 "
      "CamelCase HTTPServer\r\n   indented ... end.  1,000,000 \xE0\xA4\xA8\xE0\xA4\xAE 9\xC2\xBD \xD9\xA3\xD9\xA4\n";
  const auto count = static_cast<int32_t>(tokenizer.vocab_size());
  const int32_t step = std::max(count / 3000, 1);
  for (int32_t id = 0; id < count; id += step)
    if (!tokenizer.is_special(id)) out.append(tokenizer.id_to_bytes(id)).append(id % 3 ? "" : " ");
  return out;
}

void set_ids(const Tokenizer& tokenizer, formats::GgufWriter& out) {
  constexpr std::pair<const char*, const char*> kNames[] = {
      {"bos_token", "bos"}, {"eos_token", "eos"}, {"unk_token", "unknown"}, {"pad_token", "padding"}};
  for (const auto& [role, content] : tokenizer.named_tokens())
    for (const auto& [name, key] : kNames)
      if (const auto id = tokenizer.token_to_id(content); role == name && id)
        out.set(fmt::format("tokenizer.ggml.{}_token_id", key), static_cast<uint32_t>(*id));
  if (const auto bos = tokenizer.bos()) out.set("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(*bos));
  if (const auto eos = tokenizer.eos()) out.set("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(*eos));
  const std::vector<int32_t> around = tokenizer.encode("", {.add_special_tokens = true});
  const bool begins = tokenizer.bos() && !around.empty() && around.front() == *tokenizer.bos();
  const bool ends = tokenizer.eos() && around.size() > (begins ? 1u : 0u) && around.back() == *tokenizer.eos();
  out.set("tokenizer.ggml.add_bos_token", begins);
  out.set("tokenizer.ggml.add_eos_token", ends);
}

/// Whether the metadata make the ids that they should.
bool same_ids(const formats::GgufWriter& metadata, const Tokenizer& tokenizer, const std::string& probe) {
  try {
    const std::string header = metadata.header();
    const Tokenizer other = gguf_tokenizer(formats::Gguf(header, "the metadata"));
    return other.encode(probe, {.parse_special = false}) == tokenizer.encode(probe, {.parse_special = false});
  } catch (const Error&) {
    return false;
  }
}

/// BPE over bytes: the pre-tokenizer's name is that whose rule cuts the same way.
bool set_byte_level(const Tokenizer& tokenizer, const nlohmann::json& model, formats::GgufWriter& out) {
  const auto merges = merges_of(model);
  if (!merges) return false;
  out.set("tokenizer.ggml.model", "gpt2");
  out.set("tokenizer.ggml.merges", *merges);
  const std::string probe = probe_text(tokenizer);
  for (const std::string_view name : llama_cpp_pre_tokenizers()) {
    out.set("tokenizer.ggml.pre", name);
    if (same_ids(out, tokenizer, probe)) return true;
  }
  return false;
}

bool is_byte_token(std::string_view text) { return text.size() == 6 && text.starts_with("<0x") && text.ends_with('>'); }

/// SentencePiece's BPE: the earlier a merge, the higher the score of what it makes.
bool set_by_scores(const Tokenizer& tokenizer, const nlohmann::json& model, GgufVocabulary& vocabulary,
                   formats::GgufWriter& out) {
  const auto merges = merges_of(model);
  if (!merges) return false;
  std::map<std::string, float> score;
  for (size_t rank = 0; rank < merges->size(); ++rank) {
    std::string made = (*merges)[rank];
    made.erase(made.find(' '), 1);
    score.emplace(std::move(made), -static_cast<float>(rank));
  }
  std::vector<float> scores;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const auto found = score.find(vocabulary.tokens[id]);
    scores.push_back(found == score.end() ? -1e6f : found->second);
    if (vocabulary.types[id] == GgufTokenType::normal && is_byte_token(vocabulary.tokens[id]))
      vocabulary.types[id] = GgufTokenType::byte;
  }
  out.set("tokenizer.ggml.model", "llama");
  out.set("tokenizer.ggml.pre", "default");
  out.set("tokenizer.ggml.scores", scores);
  out.set("tokenizer.ggml.token_type", vocabulary.types);
  const std::string probe = probe_text(tokenizer);
  for (const bool prefix : {true, false}) {
    out.set("tokenizer.ggml.add_space_prefix", prefix);
    if (same_ids(out, tokenizer, probe)) return true;
  }
  return false;
}

}  // namespace

bool set_gguf_tokenizer(std::string_view json, const FilesBeside& beside, const std::string& source, int32_t rows,
                        formats::GgufWriter& out) {
  const Tokenizer tokenizer = Tokenizer::from_json(json, beside, source, rows);
  const nlohmann::json root = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!root.is_object() || !root.contains("model") || root["model"].value("type", "BPE") != "BPE") return false;
  const nlohmann::json& model = root["model"];
  if (!model.contains("merges")) return false;
  GgufVocabulary vocabulary = vocabulary_of(tokenizer, rows);
  if (const auto unk = model.value("unk_token", nlohmann::json()); unk.is_string())
    if (const auto id = tokenizer.token_to_id(unk.get<std::string>()); id && *id < rows)
      vocabulary.types[static_cast<size_t>(*id)] = GgufTokenType::unknown;
  formats::GgufWriter made;
  made.set("tokenizer.ggml.tokens", vocabulary.tokens);
  made.set("tokenizer.ggml.token_type", vocabulary.types);
  set_ids(tokenizer, made);
  const bool characters = model.value("byte_fallback", nlohmann::json(false)) == true;
  if (!(characters ? set_by_scores(tokenizer, model, vocabulary, made) : set_byte_level(tokenizer, model, made)))
    return false;
  out.set_all(made);
  return true;
}

}  // namespace ingrain::tokenizer
