// Tokens to text: the steps of a tokenizer.json's "decoder".
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain::tokenizer {

/// One step. Names and meanings are Hugging Face's.
struct DecoderStep {
  enum class Kind {
    replace,        // in every token, `pattern` by `content`
    byte_fallback,  // a token <0x41> is that byte
    metaspace,      // `pattern` is a blank, but in the text's first token (`at_beginning` of 1), where it is nothing
    strip,          // of every token, as many of `content`, one character, from its beginning and end as it says
    strip_text      // of the text as a whole, likewise (Strip behind Fuse)
  };
  Kind kind = Kind::replace;
  std::string pattern = {}, content = {};
  size_t at_beginning = 0, at_end = 0;
};

/// Immutable, thread-safe.
class Decoder {
 public:
  /// REQUIRES: strip_text is the last step.
  explicit Decoder(std::vector<DecoderStep> steps) : steps_(std::move(steps)) {}

  /// The bytes that a token stands for inside a text, and where it is the first of one.
  std::string token(std::string_view written) const { return decode(written, false); }
  std::string first_token(std::string_view written) const { return decode(written, true); }
  bool first_differs() const;
  /// What is taken from the ends of a text; null: nothing.
  const DecoderStep* text_ends() const;

 private:
  std::string decode(std::string_view written, bool first) const;

  std::vector<DecoderStep> steps_;
};

/// Takes a character from the ends of a text that comes in parts. One thread at a time.
class EndStripper {
 public:
  /// `step`: Decoder::text_ends(), which must outlive it, or null. `begins`: the first part begins a text.
  EndStripper(const DecoderStep* step, bool begins) : step_(step), left_(step && begins ? step->at_beginning : 0) {}

  /// What can be given out once `part` is known; `part` itself, as a rule.
  std::string push(std::string part);
  /// What still waited, without what goes from the end.
  std::string finish();

 private:
  const DecoderStep* step_;
  size_t left_;          // that may still go from the beginning
  std::string waiting_;  // may be the end
};

}  // namespace ingrain::tokenizer
