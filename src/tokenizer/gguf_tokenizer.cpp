#include "tokenizer/gguf_tokenizer.h"

#include "base/error.h"
#include "base/text.h"
#include "formats/gguf_ends.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/files_beside.h"

#include <nlohmann/json.hpp>

#include <limits>

namespace ingrain::tokenizer {
namespace {

using nlohmann::json;

// tokenizer.ggml.token_type
constexpr int64_t kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6;

/// tokenizer.ggml.pre. Files from before the key existed are cut as llama.cpp does, which hardly any model was made
/// for.
std::string pre_tokenizer_name(const formats::Gguf& file, std::vector<std::string>& warnings) {
  const auto name = file.get<std::string_view>("tokenizer.ggml.pre");
  if (name && !name->empty() && *name != "default") return std::string(*name);
  warnings.push_back(fmt::format(
      "{}: tokenizer.ggml.pre is {}, so that text is cut into words by llama.cpp's default rule, as llama.cpp does; "
      "the "
      "model was probably made with another and reads and writes worse: convert it anew, or use another file",
      file.name(), name && !name->empty() ? "'default'" : "missing"));
  return "default";
}

std::pair<std::string, std::string> split_merge(const formats::Gguf& file, std::string_view merge) {
  const size_t space = merge.find(' ');
  require(space != 0 && space != merge.npos && space + 1 < merge.size() && merge.find(' ', space + 1) == merge.npos,
          "{}: tokenizer.ggml.merges holds '{}', which is not two parts with a space between them", file.name(),
          printable(merge));
  return {std::string(merge.substr(0, space)), std::string(merge.substr(space + 1))};
}

/// Whether `written` stands for one byte in the alphabet of byte-level vocabularies.
bool is_byte_letter(std::string_view written) {
  const auto bytes = written.size() <= 2 ? read_bytes(written) : std::nullopt;
  return bytes && bytes->size() == 1;
}

std::optional<int32_t> token_id(const formats::Gguf& file, std::string_view key, size_t vocabulary) {
  const auto id = file.get<uint64_t>(key);
  // -1 as an unsigned number says "none" in files of some converters.
  if (!id || *id == std::numeric_limits<uint32_t>::max()) return std::nullopt;
  require(*id < vocabulary, "{}: {} is {}, but there are {} tokens", file.name(), key, *id, vocabulary);
  return static_cast<int32_t>(*id);
}

// -- tokenizer.json ---------------------------------------------------------------------------------------

const json kByteLevel{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};

json added_tokens_json(const tokenizer::TokenizerSpec& spec) {
  json out = json::array();
  for (const tokenizer::AddedToken& token : spec.added_tokens)
    out.push_back({{"id", token.id},
                   {"content", token.content},
                   {"single_word", token.single_word},
                   {"lstrip", token.lstrip},
                   {"rstrip", token.rstrip},
                   {"normalized", token.normalized},
                   {"special", token.special}});
  return out;
}

json pre_tokenizer_json(const tokenizer::TokenizerSpec& spec) {
  json steps = json::array();
  for (const tokenizer::PreTokenizerStep& step : spec.pre_tokenizer) {
    if (step.pattern == tokenizer::digits_step(true).pattern)
      steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
    else
      steps.push_back(
          {{"type", "Split"}, {"pattern", {{"Regex", step.pattern}}}, {"behavior", "Isolated"}, {"invert", false}});
  }
  steps.push_back(kByteLevel);
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

std::string content_of(const tokenizer::TokenizerSpec& spec, int32_t id) {
  for (const tokenizer::AddedToken& token : spec.added_tokens)
    if (token.id == id) return token.content;
  return spec.tokens[static_cast<size_t>(id)];
}

json template_json(const tokenizer::TokenizerSpec& spec) {
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

json model_json(const tokenizer::TokenizerSpec& spec) {
  json vocab = json::object(), merges = json::array();
  for (size_t id = 0; id < spec.tokens.size(); ++id)
    if (!spec.tokens[id].empty()) vocab[spec.tokens[id]] = id;
  // Other readers number an added token anew unless the vocabulary has it, too.
  for (const tokenizer::AddedToken& token : spec.added_tokens) vocab[token.content] = token.id;
  for (const auto& [left, right] : spec.merges) merges.push_back({left, right});
  return {{"type", "BPE"},
          {"ignore_merges", spec.ignore_merges},
          {"byte_fallback", false},
          {"vocab", vocab},
          {"merges", merges}};
}

// -- metadata ---------------------------------------------------------------------------------------------

/// Sorts the vocabulary into tokens that BPE makes and tokens that are found in the text as they are.
void read_vocabulary(const formats::Gguf& file, tokenizer::TokenizerSpec& spec) {
  const auto tokens = file.need<std::vector<std::string_view>>("tokenizer.ggml.tokens");
  require(!tokens.empty() && tokens.size() <= std::numeric_limits<int32_t>::max(),
          "{}: tokenizer.ggml.tokens has {} entries", file.name(), tokens.size());
  const auto types = file.get<std::vector<int64_t>>("tokenizer.ggml.token_type");
  require(!types || types->size() == tokens.size(), "{}: tokenizer.ggml.token_type has {} entries for {} tokens",
          file.name(), types ? types->size() : 0, tokens.size());
  spec.tokens.resize(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id) {
    int64_t type = types ? (*types)[id] : kNormal;
    require(type >= kNormal && type <= kByte, "{}: tokenizer.ggml.token_type of token {} is {}", file.name(), id, type);
    if (type == kUnused) continue;
    if (formats::names_control_token(tokens[id])) type = kControl;
    const bool ordinary = type != kControl && type != kUserDefined && type != kUnknown;
    // BPE begins with the letters that stand for bytes, whatever type the file gives them.
    if (ordinary || is_byte_letter(tokens[id])) spec.tokens[id] = tokens[id];
    if (!ordinary && !tokens[id].empty())
      spec.added_tokens.push_back(
          {.id = static_cast<int32_t>(id), .content = std::string(tokens[id]), .special = type != kUserDefined});
  }
}

void read_named_tokens(const formats::Gguf& file, tokenizer::TokenizerSpec& spec) {
  struct Role {
    std::string_view key, name;
  };
  // "seperator" is how the format spells it.
  constexpr Role roles[] = {{"bos", "bos_token"},       {"eos", "eos_token"},     {"unknown", "unk_token"},
                            {"seperator", "sep_token"}, {"padding", "pad_token"}, {"cls", "cls_token"},
                            {"mask", "mask_token"}};
  const auto tokens = file.need<std::vector<std::string_view>>("tokenizer.ggml.tokens");
  for (const Role& role : roles)
    if (const auto id = token_id(file, fmt::format("tokenizer.ggml.{}_token_id", role.key), tokens.size()))
      spec.named_tokens.emplace_back(role.name, tokens[static_cast<size_t>(*id)]);
}

tokenizer::TokenizerSpec read_spec(const formats::Gguf& file, int32_t rows) {
  const auto model = file.need<std::string_view>("tokenizer.ggml.model");
  require(model == "gpt2",
          "{}: tokenizer.ggml.model is '{}'; only 'gpt2' (byte-level BPE) is supported: use a model of the Llama 3, "
          "SmolLM2, Qwen2 or Qwen3 families",
          file.name(), printable(model));
  tokenizer::TokenizerSpec spec;
  spec.source = file.name();
  read_vocabulary(file, spec);
  for (const std::string_view merge : file.need<std::vector<std::string_view>>("tokenizer.ggml.merges"))
    spec.merges.push_back(split_merge(file, merge));

  const std::string pre = pre_tokenizer_name(file, spec.warnings);
  spec.pre_tokenizer = tokenizer::named_pre_tokenizer(pre, file.name() + ": tokenizer.ggml.pre");
  // What the metadata does not say, but the tokenizer.json files of these families do.
  const tokenizer::NamedHabits habits = tokenizer::named_habits(pre);
  spec.ignore_merges = habits.ignore_merges;
  if (pre == "qwen2") spec.normal_form = tokenizer::NormalForm::nfc;

  spec.bos = token_id(file, "tokenizer.ggml.bos_token_id", spec.tokens.size());
  spec.eos = token_id(file, "tokenizer.ggml.eos_token_id", spec.tokens.size());
  if (spec.bos && file.get<bool>("tokenizer.ggml.add_bos_token").value_or(habits.begins_with_bos))
    spec.template_before.push_back(*spec.bos);
  if (spec.eos && file.get<bool>("tokenizer.ggml.add_eos_token").value_or(false))
    spec.template_after.push_back(*spec.eos);
  read_named_tokens(file, spec);
  drop_tokens_without_a_row(rows, spec);
  return spec;
}

}  // namespace

bool has_gguf_tokenizer(const formats::Gguf& file) { return file.has("tokenizer.ggml.model"); }

tokenizer::Tokenizer gguf_tokenizer(const formats::Gguf& file, int32_t rows) {
  return tokenizer::Tokenizer(read_spec(file, rows));
}

TokenizerFiles gguf_tokenizer_files(const formats::Gguf& file) {
  const tokenizer::TokenizerSpec spec = read_spec(file, kMaxTokenId);
  tokenizer::Tokenizer{spec};  // checks the whole
  json config = json::object();
  // Said, so that nobody guesses.
  config["bos_token"] = config["eos_token"] = nullptr;
  for (const auto& [role, content] : spec.named_tokens) config[role] = content;
  const json out{{"version", "1.0"},
                 {"added_tokens", added_tokens_json(spec)},
                 {"normalizer", spec.normal_form ? json{{"type", "NFC"}} : json(nullptr)},
                 {"pre_tokenizer", pre_tokenizer_json(spec)},
                 {"post_processor", template_json(spec)},
                 {"decoder", kByteLevel},
                 {"model", model_json(spec)}};
  return {out.dump(), config.dump(2) + "\n"};
}

std::optional<std::string_view> gguf_chat_template(const formats::Gguf& file) {
  return file.get<std::string_view>("tokenizer.chat_template");
}

}  // namespace ingrain::tokenizer
