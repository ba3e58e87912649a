#include "tokenizer/gguf_vocabulary.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "base/utf8.h"
#include "formats/gguf_ends.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/gguf_token_type.h"

namespace ingrain::tokenizer {
namespace {

// -- arrays -----------------------------------------------------------------------------------------------------

struct GgufToken {
  std::string_view text;
  int64_t type;
};

/// Sound types; what is spelt like a control token is one.
std::vector<GgufToken> read_tokens(const formats::Gguf& file) {
  const auto tokens = file.need<std::vector<std::string_view>>("tokenizer.ggml.tokens");
  require(!tokens.empty() && tokens.size() <= std::numeric_limits<int32_t>::max(),
          "{}: tokenizer.ggml.tokens has {} entries", file.name(), tokens.size());
  const auto types = file.get<std::vector<int64_t>>("tokenizer.ggml.token_type");
  require(!types || types->size() == tokens.size(), "{}: tokenizer.ggml.token_type has {} entries for {} tokens",
          file.name(), types ? types->size() : 0, tokens.size());
  std::vector<GgufToken> out;
  for (size_t id = 0; id < tokens.size(); ++id) {
    int64_t type = types ? (*types)[id] : int64_t{GgufTokenType::normal};
    require(type >= GgufTokenType::normal && type <= GgufTokenType::byte,
            "{}: tokenizer.ggml.token_type of token {} is {}", file.name(), id, type);
    if (type != GgufTokenType::unused && formats::names_control_token(tokens[id])) type = GgufTokenType::control;
    out.push_back({tokens[id], type});
  }
  return out;
}

std::vector<double> read_scores(const formats::Gguf& file, size_t tokens) {
  const auto scores = file.need<std::vector<double>>("tokenizer.ggml.scores");
  require(scores.size() == tokens, "{}: tokenizer.ggml.scores has {} entries for {} tokens", file.name(), scores.size(),
          tokens);
  return scores;
}

std::pair<std::string, std::string> split_merge(const formats::Gguf& file, std::string_view merge) {
  const size_t space = merge.find(' ');
  require(space != 0 && space != merge.npos && space + 1 < merge.size() && merge.find(' ', space + 1) == merge.npos,
          "{}: tokenizer.ggml.merges holds '{}', which is not two parts with a space between them", file.name(),
          printable(merge));
  return {std::string(merge.substr(0, space)), std::string(merge.substr(space + 1))};
}

void read_merges(const formats::Gguf& file, TokenizerSpec& spec) {
  for (const std::string_view merge : file.need<std::vector<std::string_view>>("tokenizer.ggml.merges"))
    spec.merges.push_back(split_merge(file, merge));
}

void add_found_token(int32_t id, const GgufToken& token, TokenizerSpec& spec) {
  if (!token.text.empty())
    spec.added_tokens.push_back(
        {.id = id, .content = std::string(token.text), .special = token.type != GgufTokenType::user_defined});
}

// -- byte-level BPE ---------------------------------------------------------------------------------------------

/// Whether `written` stands for one byte in the alphabet of byte-level vocabularies.
bool is_byte_letter(std::string_view written) {
  const auto bytes = written.size() <= 2 ? read_bytes(written) : std::nullopt;
  return bytes && bytes->size() == 1;
}

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

/// Sorts the vocabulary into tokens that BPE makes and tokens that are found in the text as they are.
void read_byte_level_tokens(const formats::Gguf& file, TokenizerSpec& spec) {
  const std::vector<GgufToken> tokens = read_tokens(file);
  spec.tokens.resize(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id) {
    const auto& [text, type] = tokens[id];
    if (type == GgufTokenType::unused) continue;
    const bool ordinary =
        type != GgufTokenType::control && type != GgufTokenType::user_defined && type != GgufTokenType::unknown;
    // BPE begins with the letters that stand for bytes, whatever type the file gives them.
    if (ordinary || is_byte_letter(text)) spec.tokens[id] = text;
    if (!ordinary) add_found_token(static_cast<int32_t>(id), tokens[id], spec);
  }
}

// -- characters -------------------------------------------------------------------------------------------------

/// All tokens but control tokens may come out of a text; those that the user defined are found in it, too, whole.
/// `scores`: of the normal ones; others do not merge, but the user's, which do so first.
void read_character_tokens(const formats::Gguf& file, std::vector<double> scores, TokenizerSpec& spec) {
  const std::vector<GgufToken> tokens = read_tokens(file);
  constexpr double kFirst = 1e9;
  spec.alphabet = Alphabet::characters;
  spec.tokens.resize(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id) {
    const auto& [text, type] = tokens[id];
    require(is_utf8(text), "{}: tokenizer.ggml.tokens: token {} ('{}') is not UTF-8", file.name(), id, printable(text));
    if (type == GgufTokenType::control || type == GgufTokenType::user_defined || type == GgufTokenType::unknown)
      add_found_token(static_cast<int32_t>(id), tokens[id], spec);
    if (type == GgufTokenType::unknown && !text.empty()) spec.unk_token = text;
    if (type == GgufTokenType::byte) spec.byte_fallback = true;
    if (type != GgufTokenType::control && type != GgufTokenType::unused) spec.tokens[id] = text;
    if (scores.empty()) continue;
    if (type == GgufTokenType::user_defined)
      scores[id] = spec.model == ModelKind::unigram ? 0 : kFirst - static_cast<double>(id);
    else if (type != GgufTokenType::normal)
      scores[id] = TokenizerSpec::kNeverMerged;
  }
  spec.scores = std::move(scores);
}

void add_blank_steps(bool prefix, TokenizerSpec& spec) {
  const std::string sign(kBlankSign);
  if (prefix) spec.normalizer.push_back({.kind = NormalizerStep::Kind::prepend, .content = sign});
  spec.normalizer.push_back({.kind = NormalizerStep::Kind::replace, .pattern = " ", .content = sign});
  spec.decoder.push_back({.kind = DecoderStep::Kind::replace, .pattern = sign, .content = " "});
  if (spec.byte_fallback) spec.decoder.push_back({.kind = DecoderStep::Kind::byte_fallback});
  if (prefix) spec.decoder.push_back({.kind = DecoderStep::Kind::strip_text, .content = " ", .at_beginning = 1});
}

/// SentencePiece's BPE: the scores are the order of its merges.
GgufDefaults read_sentencepiece(const formats::Gguf& file, TokenizerSpec& spec) {
  const auto tokens = file.need<std::vector<std::string_view>>("tokenizer.ggml.tokens").size();
  spec.merges_by_score = spec.fuse_unk = true;
  read_character_tokens(file, read_scores(file, tokens), spec);
  add_blank_steps(file.get<bool>("tokenizer.ggml.add_space_prefix").value_or(true), spec);
  // Phi-3's tokens take the white space behind them, which nothing but the model's name tells.
  const std::string name = in_ascii_lower(file.get<std::string_view>("general.name").value_or(""));
  if (name.find("phi-3") != name.npos || name.find("phi3") != name.npos)
    for (AddedToken& token : spec.added_tokens)
      token.rstrip = token.content != "<unk>" && token.content != "<s>" && token.content != "<|endoftext|>";
  return {.bos = 1, .eos = 2, .unk = 0, .add_bos = true};
}

/// BPE over characters with merges of its own, as Gemma 4's.
void read_character_bpe(const formats::Gguf& file, TokenizerSpec& spec) {
  read_character_tokens(file, {}, spec);
  read_merges(file, spec);
  spec.fuse_unk = true;
  add_blank_steps(false, spec);
}

GgufDefaults read_unigram(const formats::Gguf& file, TokenizerSpec& spec) {
  const auto tokens = file.need<std::vector<std::string_view>>("tokenizer.ggml.tokens").size();
  const std::string sign(kBlankSign);
  spec.model = ModelKind::unigram;
  read_character_tokens(file, read_scores(file, tokens), spec);
  if (const auto table = file.get<std::vector<int64_t>>("tokenizer.ggml.precompiled_charsmap")) {
    NormalizerStep step{.kind = NormalizerStep::Kind::charsmap};
    for (const int64_t byte : *table) step.content += static_cast<char>(byte);
    spec.normalizer.push_back(std::move(step));
  }
  const bool prefix = file.get<bool>("tokenizer.ggml.add_space_prefix").value_or(false);
  const bool merge_blanks = file.get<bool>("tokenizer.ggml.remove_extra_whitespaces").value_or(false);
  if (merge_blanks) {
    spec.normalizer.push_back({.kind = NormalizerStep::Kind::replace_regex, .pattern = R"(\A +| +\z)"});
    spec.normalizer.push_back({.kind = NormalizerStep::Kind::replace_regex, .pattern = " {2,}", .content = " "});
  }
  const bool begins = prefix || merge_blanks;
  spec.pre_tokenizer.push_back({.kind = PreTokenizerStep::Kind::metaspace,
                                .pattern = sign,
                                .prepend = begins ? PrependScheme::always : PrependScheme::never,
                                .split = merge_blanks});
  spec.decoder.push_back(
      {.kind = DecoderStep::Kind::metaspace, .pattern = sign, .at_beginning = begins ? size_t{1} : 0});
  if (spec.byte_fallback) spec.decoder.insert(spec.decoder.begin(), {.kind = DecoderStep::Kind::byte_fallback});
  return {.bos = std::nullopt, .eos = 1, .unk = 2, .add_eos = true};
}

GgufDefaults read_bpe(const formats::Gguf& file, const std::string& pre, TokenizerSpec& spec) {
  const NamedHabits habits = named_habits(pre);
  // What the metadata does not say, but the tokenizer.json files of these families do.
  spec.pre_tokenizer = named_pre_tokenizer(pre, file.name() + ": tokenizer.ggml.pre");
  spec.ignore_merges = habits.ignore_merges;
  if (pre == "qwen2") spec.normalizer.push_back({.form = NormalForm::nfc});
  if (habits.characters) {
    read_character_bpe(file, spec);
  } else {
    read_byte_level_tokens(file, spec);
    read_merges(file, spec);
  }
  return {.bos = std::nullopt, .eos = std::nullopt, .unk = std::nullopt, .add_bos = habits.begins_with_bos};
}

}  // namespace

GgufDefaults read_gguf_vocabulary(const formats::Gguf& file, TokenizerSpec& spec) {
  const auto model = file.need<std::string_view>("tokenizer.ggml.model");
  if (model == "gpt2") return read_bpe(file, pre_tokenizer_name(file, spec.warnings), spec);
  if (model == "gemma4") return read_bpe(file, "gemma4", spec);
  if (model == "llama") return read_sentencepiece(file, spec);
  if (model == "t5") return read_unigram(file, spec);
  fail(
      "{}: tokenizer.ggml.model is '{}'{}; 'gpt2' and 'gemma4' (BPE), 'llama' (SentencePiece) and 't5' (Unigram) are "
      "supported: use a model with one of these",
      file.name(), printable(model), model == "bert" ? " (WordPiece)" : "");
}

}  // namespace ingrain::tokenizer
