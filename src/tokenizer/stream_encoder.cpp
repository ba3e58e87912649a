#include "tokenizer/stream_encoder.h"

#include <algorithm>

namespace ingrain::tokenizer {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

}  // namespace

bool encodes_word_by_word(const Tokenizer& tokenizer, EncodeOptions options) {
  if (!tokenizer.words_stand_alone()) return false;
  EncodeOptions later = options;
  later.continues = true;
  constexpr std::string_view kWords[][2] = {{"a", " b"},  {"of", " the"},     {"New", " York"},
                                            {"in", " a"}, {"as well", " as"}, {"I", " am"}};
  return std::all_of(std::begin(kWords), std::end(kWords), [&](const auto& words) {
    std::vector<int32_t> apart = tokenizer.encode(words[0], options);
    const auto second = tokenizer.encode(words[1], later);
    apart.insert(apart.end(), second.begin(), second.end());
    return apart == tokenizer.encode(std::string(words[0]) + std::string(words[1]), options);
  });
}

bool is_between_words(std::string_view before, std::string_view after) {
  return !before.empty() && is_letter(before.back()) && after.size() > 1 && after[0] == ' ' && is_letter(after[1]);
}

namespace {

/// Where the last word that may still grow begins; 0 if there is no place to cut.
size_t last_cut(std::string_view text) {
  for (size_t at = text.size(); at-- > 1;)
    if (is_between_words(text.substr(0, at), text.substr(at))) return at;
  return 0;
}

}  // namespace

StreamEncoder::StreamEncoder(Tokenizer tokenizer, EncodeOptions options)
    : tokenizer_(std::move(tokenizer)), options_(options), can_cut_(encodes_word_by_word(tokenizer_, options)) {
  for (const AddedToken& token : tokenizer_.added_tokens()) added_.insert(token.id);
}

std::vector<int32_t> StreamEncoder::encode(std::string_view text) const {
  EncodeOptions options = options_;
  options.continues = options.continues || began_;
  return tokenizer_.encode(text, options);
}

std::vector<int32_t> StreamEncoder::push(std::string_view text) {
  waiting_ += text;
  const size_t cut = can_cut_ ? last_cut(waiting_) : 0;
  if (cut == 0) return {};
  std::vector<int32_t> out = encode(std::string_view(waiting_).substr(0, cut));
  // Behind an added token a text begins anew, so that what follows does not go on from here.
  if (!out.empty() && added_.contains(out.back())) return {};
  waiting_.erase(0, cut);
  began_ = true;
  return out;
}

std::vector<int32_t> StreamEncoder::finish() {
  std::vector<int32_t> out = encode(waiting_);
  waiting_.clear();
  began_ = false;
  return out;
}

}  // namespace ingrain::tokenizer
