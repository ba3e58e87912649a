#include "tokenizer/gguf_tokenizer.h"

#include "base/error.h"
#include "base/text.h"
#include "tokenizer/files_beside.h"
#include "tokenizer/gguf_vocabulary.h"
#include "tokenizer/json_write.h"

#include <nlohmann/json.hpp>

#include <limits>

namespace ingrain::tokenizer {
namespace {

std::optional<int32_t> token_id(const formats::Gguf& file, std::string_view key, size_t vocabulary) {
  const auto id = file.get<uint64_t>(key);
  // -1 as an unsigned number says "none" in files of some converters.
  if (!id || *id == std::numeric_limits<uint32_t>::max()) return std::nullopt;
  require(*id < vocabulary, "{}: {} is {}, but there are {} tokens", file.name(), key, *id, vocabulary);
  return static_cast<int32_t>(*id);
}

void read_named_tokens(const formats::Gguf& file, TokenizerSpec& spec) {
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

TokenizerSpec read_spec(const formats::Gguf& file, int32_t rows) {
  TokenizerSpec spec;
  spec.source = file.name();
  const GgufDefaults defaults = read_gguf_vocabulary(file, spec);
  const auto id_of = [&](std::string_view key, std::optional<int32_t> fallback) {
    if (file.has(key)) return token_id(file, key, spec.tokens.size());
    return fallback && static_cast<size_t>(*fallback) < spec.tokens.size() ? fallback : std::nullopt;
  };
  spec.bos = id_of("tokenizer.ggml.bos_token_id", defaults.bos);
  spec.eos = id_of("tokenizer.ggml.eos_token_id", defaults.eos);
  if (spec.bos && file.get<bool>("tokenizer.ggml.add_bos_token").value_or(defaults.add_bos))
    spec.template_before.push_back(*spec.bos);
  if (spec.eos && file.get<bool>("tokenizer.ggml.add_eos_token").value_or(defaults.add_eos))
    spec.template_after.push_back(*spec.eos);
  if (const auto unk = id_of("tokenizer.ggml.unknown_token_id", defaults.unk);
      unk && spec.alphabet == Alphabet::characters && !spec.unk_token &&
      !spec.tokens[static_cast<size_t>(*unk)].empty())
    spec.unk_token = spec.tokens[static_cast<size_t>(*unk)];
  read_named_tokens(file, spec);
  drop_tokens_without_a_row(rows, spec);
  return spec;
}

bool has_json_alone(const formats::Gguf& file) { return !file.has("tokenizer.ggml.model") && file.has(kOwnTokenizer); }

std::string_view json_config(const formats::Gguf& file) {
  return file.get<std::string_view>(kOwnTokenizerConfig).value_or("{}");
}

}  // namespace

bool has_gguf_tokenizer(const formats::Gguf& file) { return file.has("tokenizer.ggml.model") || has_json_alone(file); }

Tokenizer gguf_tokenizer(const formats::Gguf& file, int32_t rows) {
  if (!has_json_alone(file)) return Tokenizer(read_spec(file, rows));
  return Tokenizer::from_json(file.need<std::string_view>(kOwnTokenizer), {.config = json_config(file)},
                              fmt::format("{}: metadata '{}'", file.name(), kOwnTokenizer), rows);
}

Tokenizer tokenizer_at(const std::filesystem::path& path) {
  return formats::is_gguf(path) ? gguf_tokenizer(formats::Gguf(path)) : Tokenizer::load(path);
}

TokenizerFiles gguf_tokenizer_files(const formats::Gguf& file) {
  if (has_json_alone(file)) {
    gguf_tokenizer(file);  // checks it
    return {std::string(file.need<std::string_view>(kOwnTokenizer)), std::string(json_config(file))};
  }
  const TokenizerSpec spec = read_spec(file, kMaxTokenId);
  Tokenizer{spec};  // checks the whole
  nlohmann::json config = nlohmann::json::object();
  // Said, so that nobody guesses.
  config["bos_token"] = config["eos_token"] = nullptr;
  for (const auto& [role, content] : spec.named_tokens) config[role] = content;
  std::string tokenizer = write_tokenizer_json(spec);  // first: it tells of tokens that are not UTF-8
  return {std::move(tokenizer), config.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"};
}

std::optional<std::string_view> gguf_chat_template(const formats::Gguf& file) {
  return file.get<std::string_view>("tokenizer.chat_template");
}

}  // namespace ingrain::tokenizer
