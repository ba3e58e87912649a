// Split patterns of published tokenizers, under all the names they go by.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"
#include "tokenizer/gguf_write.h"

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

// What llama.cpp's names ask for, beyond the patterns above; of each, what the tokenizer.json of that family says.
constexpr std::string_view kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+)"
    R"([\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kSeedCoder =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kBailing =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr std::string_view kMiniCpm5 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDeepSeek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kSpark =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+)";
constexpr std::string_view kYoutuScripts =
    R"([\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+|[\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019}\x{2014}\x{FF1A}\x{FF1B}\x{FF0C})"
    R"(\x{3001}-\x{303F}\x{FE30}-\x{FE4F}]+|[\x{3105}-\x{312F}]+|[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)";
constexpr std::string_view kYoutu =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kJais2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S))"
    R"(|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})";
constexpr std::string_view kExaoneMoe =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr std::string_view kUfakzeka =
    R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kBloom = R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)";
constexpr std::string_view kNoNewLine = R"([^\n]+|[\n]+)";
constexpr std::string_view kDigitsFromTheRight = R"(\d{1,3}(?=(?:\d{3})*\b))";
constexpr std::string_view kUpToThreeNumbers = R"(\p{N}{1,3})", kCjk = R"([\x{4E00}-\x{9FA5}\x{3040}-\x{30FF}]+)";

using Patterns = std::array<std::string_view, 6>;  // one after the other; unused ones are empty
struct Named {
  std::string_view name;
  Patterns patterns;
  bool digits_apart = false;
  NamedHabits habits = {};
};
constexpr NamedHabits kLlamaHabits{.ignore_merges = true, .begins_with_bos = true};
constexpr Patterns kDefault = {R"([\p{P}$+<=>^~|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"};
constexpr Patterns kDeepSeekV3 = {kUpToThreeNumbers, kCjk, kDeepSeek3};
constexpr Patterns kDeepSeekCoder = {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)",
                                     R"([\x{4E00}-\x{9FA5}\x{0800}-\x{4E00}\x{AC00}-\x{D7FF}]+)", R"(\p{N})"};
constexpr NamedHabits kCharacterHabits{.characters = true};
constexpr Patterns kChameleon = {R"(<sentinel:[0-9]+>)",    R"((IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z)",
                                 R"(([\t\n]|    |  ))",     R"(\p{N})",
                                 R"([\p{P}!-/:-@\[-`{-~])", kGpt2};
constexpr Named named[] = {
    {"gpt2", {kGpt2}},
    {"r50k_base", {kGpt2}},
    {"cl100k_base", {kCl100k}},
    {"o200k_base", {kO200k}},
    {"default", kDefault},
    {"gpt-2", {kGpt2}},
    {"phi-2", {kGpt2}},
    {"mpt", {kGpt2}},
    {"olmo", {kGpt2}},
    {"jais", {kGpt2}},
    {"trillion", {kGpt2}},
    {"granite-docling", {kGpt2}},
    {"jina-es", {kGpt2}},
    {"jina-de", {kGpt2}},
    {"jina-v2-es", {kGpt2}},
    {"jina-v2-de", {kGpt2}},
    {"gigachat", {kGpt2}},
    {"a.x-4.0", {kGpt2}},
    {"mellum", {kGpt2}},
    {"modern-bert", {kGpt2}},
    {"exaone4", {kGpt2}},
    {"smollm", {kGpt2}, true},
    {"starcoder", {kGpt2}, true},
    {"refact", {kGpt2}, true},
    {"command-r", {kGpt2}, true},
    {"codeshell", {kGpt2}, true},
    {"exaone", {kGpt2}, true},
    {"minerva-7b", {kGpt2}, true},
    {"mellum2", {kGpt2}, true},
    {"llama3", {kLlama3}, false, kLlamaHabits},
    {"llama-v3", {kLlama3}, false, kLlamaHabits},
    {"llama-bpe", {kLlama3}, false, kLlamaHabits},
    {"falcon3", {kLlama3}, false, kLlamaHabits},
    {"falcon-h1", {kLlama3}, false, kLlamaHabits},
    {"pixtral", {kLlama3}, false, kLlamaHabits},
    {"midm-2.0", {kLlama3}, false, kLlamaHabits},
    {"lfm2", {kLlama3}, false, kLlamaHabits},
    {"jina-v5-nano", {kLlama3}, false, kLlamaHabits},
    {"dbrx", {kLlama3}},
    {"smaug-bpe", {kLlama3}},
    {"glm4", {kLlama3}},
    {"chatglm-bpe", {kLlama3}},
    {"minicpm5", {kUpToThreeNumbers, kMiniCpm5}, false, {.ignore_merges = true}},
    {"qwen2", {kQwen2}},
    {"deepseek-r1-qwen", {kQwen2}},
    {"kormo", {kQwen2}},
    {"f2llmv2", {kQwen2}},
    {"megrez", {kQwen2}},
    {"stablelm2", {kQwen2}},
    {"hunyuan", {kQwen2}},
    {"solar-open", {kQwen2}},
    {"grok-2", {kQwen2}},
    {"qwen35", {kQwen35}},
    {"gpt-4o", {kO200k}},
    {"llama4", {kO200k}},
    {"kanana2", {kO200k}},
    {"talkie", {kO200k}},
    {"minimax-m2", {kO200k}},
    {"tekken", {kTekken}, false, kLlamaHabits},
    {"seed-coder", {kSeedCoder}},
    {"bailingmoe", {kBailing}},
    {"bailingmoe2", {kBailing}},
    {"llada-moe", {kBailing}},
    {"deepseek-coder", kDeepSeekCoder},
    {"deepseek-v3", kDeepSeekV3},
    {"hunyuan-dense", kDeepSeekV3},
    {"joyai-llm", kDeepSeekV3},
    {"hy_v4", kDeepSeekV3},
    {"spark2_5", {kUpToThreeNumbers, kCjk, kSpark, R"(\p{N})"}},
    {"youtu", {kYoutuScripts, kYoutu}, false, {.ignore_merges = true}},
    {"falcon", {R"([\p{P}$+<=>^~|`]+)", kGpt2, "[0-9][0-9][0-9]"}},
    {"jais-2", {kJais2}},
    {"jina-v1-en", {kGpt2}},
    {"jina-v2-code", {kGpt2}},
    {"roberta-bpe", {kGpt2}},
    {"poro-chat", {kBloom}},
    {"bloom", {kBloom}},
    {"gpt3-finnish", {kBloom}},
    {"viking", {kBloom, R"(\p{N})"}},
    {"exaone-moe", {kExaoneMoe}},
    {"chameleon", kChameleon, false, {.begins_with_bos = true}},
    {"granite-embed-multi-97m", {kO200k}, false, {.ignore_merges = true}},
    {"tiny_aya", {kDigitsFromTheRight, kO200k}},
    {"cohere2moe", {kDigitsFromTheRight, kO200k}},
    {"superbpe", {R"(\p{N}+)", R"((?=(\d{3})+(?!\d)))"}},
    {"ufakzeka", {kUfakzeka}},
    {"laguna", {kNoNewLine, kQwen2}},
    {"gemma4", {kNoNewLine}, false, kCharacterHabits},
    {"granite-embed-multi-311m", {kNoNewLine}, false, kCharacterHabits},
    {"sarvam-moe", {kNoNewLine}, false, kCharacterHabits},
};

const Named* find_named(std::string_view name) {
  const auto* const entry =
      std::find_if(std::begin(named), std::end(named), [&](const Named& n) { return n.name == name; });
  return entry == std::end(named) ? nullptr : entry;
}

}  // namespace

// Hugging Face's Digits asks Rust's library, which knows Unicode 17; its split patterns ask Oniguruma, which knows 16.
PreTokenizerStep digits_step(bool individual) {
  return {.pattern = R"([\p{N}\x{11DE0}-\x{11DE9}\x{16FF4}-\x{16FF6}])",
          .behavior = individual ? SplitBehavior::isolated : SplitBehavior::contiguous};
}

PreTokenizerStep white_space_step() {
  return {.pattern = R"([\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}])",
          .behavior = SplitBehavior::removed,
          .dialect = Dialect::rust};
}

std::vector<PreTokenizerStep> named_pre_tokenizer(std::string_view name, const std::string& where) {
  const Named* const entry = find_named(name);
  // Text is cut by code of llama.cpp's own there, or by a list of characters that no pattern of ours has.
  for (const std::string_view refused : {"kimi-k2", "afmoe", "deepseek-llm", "whitespace"})
    require(name != refused,
            "{}: the pre-tokenizer '{}' is not supported; use a model with another, or convert this one "
            "to a folder with a tokenizer.json",
            where, refused);
  if (!entry) {
    std::string known;
    for (const Named& n : named) known += (known.empty() ? "" : ", ") + std::string(n.name);
    fail("{}: the pre-tokenizer '{}' is unknown; known are {}", where, printable(name), known);
  }
  std::vector<PreTokenizerStep> steps;
  if (entry->digits_apart) steps.push_back(digits_step(true));
  for (const std::string_view pattern : entry->patterns)
    if (!pattern.empty()) steps.push_back({.pattern = std::string(pattern), .dialect = Dialect::rust});
  return steps;
}

std::vector<std::string_view> llama_cpp_pre_tokenizers() {
  constexpr std::string_view kTiktoken = "_base";  // r50k_base and its kin
  std::vector<const Named*> kept;
  for (const Named& n : named) {
    const auto same = [&](const Named* other) {
      return other->patterns == n.patterns && other->digits_apart == n.digits_apart &&
             other->habits.ignore_merges == n.habits.ignore_merges;
    };
    if (!n.name.ends_with(kTiktoken) && n.name != "gpt2" && !n.habits.characters && std::ranges::none_of(kept, same))
      kept.push_back(&n);
  }
  std::vector<std::string_view> out;
  for (const Named* n : kept) out.push_back(n->name);
  return out;
}

NamedHabits named_habits(std::string_view name) {
  const Named* const entry = find_named(name);
  return entry ? entry->habits : NamedHabits{};
}

}  // namespace ingrain::tokenizer
