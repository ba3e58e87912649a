// tiktoken rank files to a TokenizerSpec.
#include <charconv>

#include "base/error.h"
#include "base/files.h"
#include "tokenizer/base64.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/vocabulary.h"

namespace ingrain::tokenizer {
namespace {

constexpr uint64_t kMaxTiktokenBytes = 256u << 20;

void read_line(std::string_view line, const std::string& where, TokenizerSpec& spec) {
  const size_t space = line.find(' ');
  require(space != line.npos, "{} has no space between token and rank; is this a tiktoken file?", where);
  const auto bytes = read_base64(line.substr(0, space));
  require(bytes && !bytes->empty(), "{}: the token is not base64", where);
  const std::string_view digits = line.substr(space + 1);
  uint32_t rank = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), rank);
  require(error == std::errc() && end == digits.data() + digits.size() && rank < kMaxTokenId,
          "{}: the rank '{}' is not a number below {}", where, digits.substr(0, 40), kMaxTokenId);
  if (rank >= spec.tokens.size()) spec.tokens.resize(rank + 1);
  require(spec.tokens[rank].empty(), "{}: the rank {} occurs twice", where, rank);
  spec.tokens[rank] = write_bytes(*bytes);
}

std::map<std::string, int32_t> llama3_specials() {
  std::map<std::string, int32_t> out = {{"<|begin_of_text|>", 128000},
                                        {"<|end_of_text|>", 128001},
                                        {"<|reserved_special_token_0|>", 128002},
                                        {"<|reserved_special_token_1|>", 128003},
                                        {"<|finetune_right_pad_id|>", 128004},
                                        {"<|reserved_special_token_2|>", 128005},
                                        {"<|start_header_id|>", 128006},
                                        {"<|end_header_id|>", 128007},
                                        {"<|eom_id|>", 128008},
                                        {"<|eot_id|>", 128009},
                                        {"<|python_tag|>", 128010}};
  for (int32_t i = 3; i <= 247; ++i) out[fmt::format("<|reserved_special_token_{}|>", i)] = 128008 + i;
  return out;
}

std::map<std::string, int32_t> published_specials(std::string_view name) {
  if (name == "cl100k_base")
    return {{"<|endoftext|>", 100257},
            {"<|fim_prefix|>", 100258},
            {"<|fim_middle|>", 100259},
            {"<|fim_suffix|>", 100260},
            {"<|endofprompt|>", 100276}};
  if (name == "o200k_base") return {{"<|endoftext|>", 199999}, {"<|endofprompt|>", 200018}};
  if (name == "llama3") return llama3_specials();
  if (name == "gpt2" || name == "r50k_base") return {{"<|endoftext|>", 50256}};
  return {};
}

}  // namespace

Tokenizer Tokenizer::load_tiktoken(const std::filesystem::path& path, std::string_view name,
                                   const std::map<std::string, int32_t>& special_tokens) {
  const std::string text = read_file(path, kMaxTiktokenBytes);
  TokenizerSpec spec;
  spec.source = path.string();
  spec.merges_by_rank = spec.ignore_merges = true;
  spec.pre_tokenizer = named_pre_tokenizer(name, spec.source);
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line(text.data() + begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    ++number;
    if (!line.empty()) read_line(line, fmt::format("{}: line {}", spec.source, number), spec);
    begin = end + 1;
  }
  for (const auto& [content, id] : special_tokens.empty() ? published_specials(name) : special_tokens) {
    spec.added_tokens.push_back({.id = id, .content = content, .special = true});
    if (content == "<|begin_of_text|>" || (content == "<|endoftext|>" && !spec.bos)) spec.bos = id;
    if (content == "<|end_of_text|>" || content == "<|endoftext|>") spec.eos = id;
  }
  const Tokenizer tokenizer(spec);
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    require(tokenizer.token_to_id(write_bytes({&c, 1})).has_value(),
            "{}: no token for the byte {:#04x}; the file "
            "is cut off or no tiktoken file",
            spec.source, byte);
  }
  return tokenizer;
}

}  // namespace ingrain::tokenizer
