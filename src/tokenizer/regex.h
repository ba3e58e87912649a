// Split patterns: regular expressions of two dialects, run by PCRE2 with limits that hold for hostile patterns.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct pcre2_real_code_8;

namespace ingrain::tokenizer {

/// Whose rules a pattern follows: Hugging Face's tokenizer.json means Oniguruma's, tiktoken means Rust's.
enum class Dialect { oniguruma, rust };

/// The pattern in PCRE2's syntax. Error, beginning with `where`, for syntax that is not known to mean the same or to
/// have a translation (nested character classes, intersections, calls of groups).
std::string translate_pattern(std::string_view pattern, Dialect dialect, const std::string& where);

/// What one thread needs while it matches; usable with every SplitRegex, by one thread at a time.
class RegexScratch {
 public:
  RegexScratch();
  RegexScratch(RegexScratch&&) noexcept;
  RegexScratch& operator=(RegexScratch&&) noexcept;
  ~RegexScratch();

 private:
  friend class SplitRegex;
  struct State;
  std::unique_ptr<State> state_;
};

/// Immutable, thread-safe.
class SplitRegex {
 public:
  /// `where` (file and field) begins every error's text. Error if the pattern does not compile.
  SplitRegex(std::string_view pattern, Dialect dialect, std::string where);

  struct Match {
    size_t begin, end;
  };
  /// The leftmost match in `subject` (valid UTF-8) that begins at `from` or later. False if there is none.
  /// Error where the pattern backtracks beyond the limit.
  bool find(std::string_view subject, size_t from, RegexScratch& scratch, Match& match) const;

 private:
  std::shared_ptr<const pcre2_real_code_8> code_;
  bool jit_ = false;
  std::string where_;
};

}  // namespace ingrain::tokenizer
