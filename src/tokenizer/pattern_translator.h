// A split pattern on its way from Oniguruma's or Rust's syntax to PCRE2's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tokenizer/regex.h"

namespace ingrain::tokenizer {

/// Walks the pattern once. The start of the last complete atom is remembered for quantifiers that need a group.
/// regex_dialect.cpp: the walk, groups, quantifiers; regex_escapes.cpp: what a backslash begins, and classes.
class PatternTranslator {
 public:
  PatternTranslator(std::string_view pattern, Dialect dialect, const std::string& where)
      : in_(pattern), ruby_(dialect == Dialect::oniguruma), where_(where) {}

  /// Once. Error for what has no translation.
  std::string run();

 private:
  struct Group {
    size_t begin = 0;   // in out_
    size_t opened = 0;  // groups of Ruby's inner (?i), which end with this one
    bool fold = false, extended = false;
  };

  template <class... Parts>
  [[noreturn]] void refuse(const char* what, const Parts&... parts) const {
    fail("{}: the split pattern {} (byte {}), which is not supported", where_,
         fmt::format(fmt::runtime(what), parts...), at_);
  }

  Group& now() { return groups_.back(); }
  bool next_is(std::string_view text) const { return in_.substr(at_).starts_with(text); }
  char peek(size_t ahead) const { return at_ + ahead < in_.size() ? in_[at_ + ahead] : '\0'; }
  void copy(size_t count);
  void replace(size_t count, std::string_view by);
  void step();
  bool skip_blank();
  void character();

  void open_group();
  void push(const Group& group, size_t count, std::string_view head);
  void comment();
  void flags(Group inner);
  void close_group();
  bool read_interval();
  void brace();
  void quantifier();

  void escape(bool in_class);
  void escaped_sign(char kind);
  void escape_in_class(char kind);
  void escape_outside(char kind);
  void octal();
  static uint32_t octal_value(std::string_view digits);
  void code_point();
  void hexadecimal_class(char kind, bool in_class);
  void word_escape(char kind, bool in_class);
  void property_escape(char kind);
  std::string property(const std::string& name) const;
  void character_class();
  void posix();

  std::string_view in_;
  bool ruby_;
  const std::string& where_;
  size_t at_ = 0, atom_ = std::string::npos;
  int stacked_ = 0;  // what the last atom's quantifier is: none, an interval, a sign, a lazy sign
  std::string out_, interval_;
  size_t length_ = 0;
  bool fixed_ = false;
  char last_letter_ = '\0';  // before this place, under (?i)
  std::vector<Group> groups_{Group{}};
};

// What both of its files ask of characters.
inline bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace ingrain::tokenizer
