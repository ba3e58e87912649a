// Cuts a text into the pieces inside which the model makes tokens.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/regex.h"
#include "tokenizer/tokenizer_spec.h"
#include "tokenizer/tracked_text.h"

namespace ingrain::tokenizer {

/// Immutable, thread-safe.
class PreTokenizer {
 public:
  /// Error, beginning with `source`, for patterns that do not compile.
  PreTokenizer(const std::vector<PreTokenizerStep>& steps, const std::string& source);

  /// `text` (valid UTF-8), where its bytes come from (or null), and whether it begins the whole text that is encoded.
  struct Fragment {
    std::string_view text;
    const Origin* origins = nullptr;
    bool first = false;
    bool continues = false;  // goes on from another text: nothing is put before it
  };
  using Sink = std::function<void(std::string_view piece, const Origin* origins)>;
  /// Calls `sink` with every non-empty piece, in order. A piece is a view of the fragment or of a copy that lives
  /// until the call returns.
  void split(const Fragment& fragment, RegexScratch& scratch, const Sink& sink) const;

 private:
  // `shape` is what patterns see: the text, or its copy with stand-ins, which has the same offsets.
  struct Piece {
    std::string_view text, shape;
    const Origin* origins;
    bool first, continues;

    Piece part(size_t begin, size_t end) const {
      return {text.substr(begin, end - begin), shape.substr(begin, end - begin), origins ? origins + begin : nullptr,
              first && begin == 0, continues && begin == 0};
    }
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
  void with_prefix(size_t index, const Piece& piece, std::string_view prefix, RegexScratch& scratch,
                   const Sink& sink) const;
  void metaspace(size_t index, const Piece& piece, RegexScratch& scratch, const Sink& sink) const;
  void cut(size_t index, const Piece& piece, SplitBehavior behavior, RegexScratch& scratch, const Sink& sink) const;
  template <class Visit>
  static void visit_matches(const Step& step, const Piece& piece, RegexScratch& scratch, Visit&& visit);
  static std::vector<Span> merge_spans(const std::vector<Span>& spans, SplitBehavior behavior);

  std::vector<Step> steps_;
};

}  // namespace ingrain::tokenizer
