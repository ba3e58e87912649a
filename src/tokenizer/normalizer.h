// Changes a text before anything is cut: the steps of a tokenizer.json's "normalizer", in their order.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/normal_form.h"
#include "tokenizer/regex.h"
#include "tokenizer/tracked_text.h"

namespace ingrain::tokenizer {

class Charsmap;

/// One step. Names and meanings are Hugging Face's.
struct NormalizerStep {
  enum class Kind {
    form,           // `form`
    lowercase,      // character by character, as Rust's standard library does
    prepend,        // `content`, before a text that is not empty
    replace,        // every match of `pattern` by `content`
    replace_regex,  // likewise; `pattern` in Oniguruma's syntax
    strip,          // white space at the ends
    strip_accents,  // combining marks
    nmt,            // control characters away, other white space to blanks
    charsmap        // `content`: the bytes of a compiled table of characters (Precompiled)
  };
  Kind kind = Kind::form;
  NormalForm form = NormalForm::nfc;
  std::string pattern = {}, content = {};
  bool left = true, right = true;  // strip
};

/// Immutable, thread-safe.
class Normalizer {
 public:
  /// Error, beginning with `source`, for patterns that do not compile and tables that contradict themselves.
  Normalizer(const std::vector<NormalizerStep>& steps, const std::string& source);

  bool empty() const { return steps_.empty(); }
  /// `continues`: the text goes on from another, so that what belongs before a text (prepend) is left out.
  void apply(TrackedText& text, RegexScratch& scratch, bool continues = false) const;
  std::string normalize(std::string_view text) const;

 private:
  struct Step {
    NormalizerStep spec;
    std::shared_ptr<const SplitRegex> regex;
    std::shared_ptr<const Charsmap> charsmap;
  };
  std::vector<Step> steps_;
};

}  // namespace ingrain::tokenizer
