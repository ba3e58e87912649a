#include "formats/gguf_tokenizer.h"

#include "base/error.h"
#include "base/text.h"

#include <limits>

namespace ingrain::formats {
namespace {

// tokenizer.ggml.token_type
constexpr int64_t kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6;

/// tokenizer.ggml.pre; files from before the key existed are GPT-2's.
std::string pre_tokenizer_name(const Gguf& file) {
  const auto name = file.get<std::string_view>("tokenizer.ggml.pre");
  return std::string(!name || *name == "default" ? "gpt-2" : *name);
}

std::pair<std::string, std::string> split_merge(const Gguf& file, std::string_view merge) {
  const size_t space = merge.find(' ');
  require(space != 0 && space != merge.npos && space + 1 < merge.size() &&
              merge.find(' ', space + 1) == merge.npos,
          "{}: tokenizer.ggml.merges holds '{}', which is not two parts with a space between them",
          file.name(), printable(merge));
  return {std::string(merge.substr(0, space)), std::string(merge.substr(space + 1))};
}

std::optional<int32_t> token_id(const Gguf& file, std::string_view key, size_t vocabulary) {
  const auto id = file.get<uint64_t>(key);
  // -1 as an unsigned number says "none" in files of some converters.
  if (!id || *id == std::numeric_limits<uint32_t>::max()) return std::nullopt;
  require(*id < vocabulary, "{}: {} is {}, but there are {} tokens", file.name(), key, *id, vocabulary);
  return static_cast<int32_t>(*id);
}

/// Sorts the vocabulary into tokens that BPE makes and tokens that are found in the text as they are.
void read_vocabulary(const Gguf& file, data::TokenizerSpec& spec) {
  const auto tokens = file.need<std::vector<std::string_view>>("tokenizer.ggml.tokens");
  require(!tokens.empty() && tokens.size() <= std::numeric_limits<int32_t>::max(),
          "{}: tokenizer.ggml.tokens has {} entries", file.name(), tokens.size());
  const auto types = file.get<std::vector<int64_t>>("tokenizer.ggml.token_type");
  require(!types || types->size() == tokens.size(),
          "{}: tokenizer.ggml.token_type has {} entries for {} tokens", file.name(),
          types ? types->size() : 0, tokens.size());
  spec.tokens.resize(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id) {
    const int64_t type = types ? (*types)[id] : kNormal;
    require(type >= kNormal && type <= kByte, "{}: tokenizer.ggml.token_type of token {} is {}", file.name(),
            id, type);
    if (type == kUnused) continue;
    if (type != kControl && type != kUserDefined && type != kUnknown) {
      spec.tokens[id] = tokens[id];
    } else if (!tokens[id].empty()) {
      spec.added_tokens.push_back({.id = static_cast<int32_t>(id),
                                   .content = std::string(tokens[id]),
                                   .special = type != kUserDefined});
    }
  }
}

}  // namespace

data::Tokenizer gguf_tokenizer(const Gguf& file) {
  const auto model = file.need<std::string_view>("tokenizer.ggml.model");
  require(
      model == "gpt2",
      "{}: tokenizer.ggml.model is '{}'; only 'gpt2' (byte-level BPE) is supported: use a model of the Llama 3, "
      "SmolLM2, Qwen2 or Qwen3 families",
      file.name(), printable(model));
  data::TokenizerSpec spec;
  spec.source = file.name();
  read_vocabulary(file, spec);
  for (const std::string_view merge : file.need<std::vector<std::string_view>>("tokenizer.ggml.merges"))
    spec.merges.push_back(split_merge(file, merge));

  const std::string pre = pre_tokenizer_name(file);
  spec.pre_tokenizer = data::named_pre_tokenizer(pre, file.name() + ": tokenizer.ggml.pre");
  // What the metadata does not say, but the tokenizer.json files of these families do.
  const bool llama3 = pre == "llama-bpe" || pre == "llama3";
  spec.ignore_merges = llama3;
  if (pre == "qwen2") spec.normal_form = data::NormalForm::nfc;

  spec.bos = token_id(file, "tokenizer.ggml.bos_token_id", spec.tokens.size());
  spec.eos = token_id(file, "tokenizer.ggml.eos_token_id", spec.tokens.size());
  if (spec.bos && file.get<bool>("tokenizer.ggml.add_bos_token").value_or(llama3))
    spec.template_before.push_back(*spec.bos);
  if (spec.eos && file.get<bool>("tokenizer.ggml.add_eos_token").value_or(false))
    spec.template_after.push_back(*spec.eos);
  return data::Tokenizer(spec);
}

std::optional<std::string_view> gguf_chat_template(const Gguf& file) {
  return file.get<std::string_view>("tokenizer.chat_template");
}

}  // namespace ingrain::formats
