// Split patterns of published tokenizers, under all the names they go by.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "tokenizer/tokenizer_spec.h"

namespace ingrain::tokenizer {
namespace {

// The patterns are interface constants: they must equal those with which the vocabularies were made.
constexpr std::string_view kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kCl100k =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s)";
constexpr std::string_view kO200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct Named {
  std::string_view name;
  std::string_view pattern;
  bool digits_apart;
};
constexpr std::array named = {
    Named{"gpt2", kGpt2, false},    Named{"gpt-2", kGpt2, false},         Named{"r50k_base", kGpt2, false},
    Named{"smollm", kGpt2, true},   Named{"llama3", kLlama3, false},      Named{"llama-bpe", kLlama3, false},
    Named{"qwen2", kQwen2, false},  Named{"cl100k_base", kCl100k, false}, Named{"o200k_base", kO200k, false},
    Named{"gpt-4o", kO200k, false},
};

}  // namespace

// Hugging Face's Digits asks Rust's library, which knows Unicode 17; its split patterns ask Oniguruma, which knows 16.
PreTokenizerStep digits_step(bool individual) {
  return {.pattern = R"([\p{N}\x{11DE0}-\x{11DE9}\x{16FF4}-\x{16FF6}])",
          .behavior = individual ? SplitBehavior::isolated : SplitBehavior::contiguous};
}

std::vector<PreTokenizerStep> named_pre_tokenizer(std::string_view name, const std::string& where) {
  const auto entry = std::find_if(named.begin(), named.end(), [&](const Named& n) { return n.name == name; });
  if (entry == named.end()) {
    std::string known;
    for (const Named& n : named) known += (known.empty() ? "" : ", ") + std::string(n.name);
    fail("{}: the pre-tokenizer '{}' is unknown; known are {}", where, name, known);
  }
  std::vector<PreTokenizerStep> steps;
  if (entry->digits_apart) steps.push_back(digits_step(true));
  steps.push_back({.pattern = std::string(entry->pattern), .dialect = Dialect::rust});
  return steps;
}

}  // namespace ingrain::tokenizer
