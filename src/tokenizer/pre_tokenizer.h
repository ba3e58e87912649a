// Cuts a text into the pieces inside which BPE merges.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/regex.h"
#include "tokenizer/tokenizer_spec.h"

namespace ingrain::tokenizer {

/// Immutable, thread-safe.
class PreTokenizer {
 public:
  /// Error, beginning with `source`, for patterns that do not compile.
  PreTokenizer(const std::vector<PreTokenizerStep>& steps, const std::string& source);

  using Sink = std::function<void(std::string_view piece)>;
  /// Calls `sink` with every non-empty piece of `text` (valid UTF-8), in order. A piece is a view of `text`
  /// or of a copy that lives until the call returns.
  void split(std::string_view text, RegexScratch& scratch, const Sink& sink) const;

 private:
  // `shape` is what patterns see: the text, or its copy with stand-ins, which has the same offsets.
  struct Piece {
    std::string_view text, shape;
  };
  struct Step {
    PreTokenizerStep spec;
    std::vector<SplitRegex> regex;  // one, if spec.kind is regex
  };
  struct Span {
    size_t begin, end;
    bool match;
  };

  void run(size_t index, Piece piece, RegexScratch& scratch, const Sink& sink) const;
  template <class Visit>
  static void visit_matches(const Step& step, Piece piece, RegexScratch& scratch, Visit&& visit);
  static std::vector<Span> merge_spans(const std::vector<Span>& spans, SplitBehavior behavior);

  std::vector<Step> steps_;
};

}  // namespace ingrain::tokenizer
