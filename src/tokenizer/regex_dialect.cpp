// Oniguruma's and Rust's pattern syntax, as far as it differs from PCRE2's.
#include <algorithm>
#include <array>
#include <vector>

#include "base/error.h"
#include "tokenizer/regex.h"

namespace ingrain::tokenizer {
namespace {

// Walks the pattern once. The start of the last complete atom is remembered for quantifiers that need a group.
class Translator {
 public:
  Translator(std::string_view pattern, Dialect dialect, const std::string& where)
      : in_(pattern), dialect_(dialect), where_(where) {}

  std::string run() {
    while (at_ < in_.size()) {
      const char c = in_[at_];
      if (c == '\\') {
        atom_ = out_.size();
        escape(false);
      } else if (c == '[') {
        atom_ = out_.size();
        character_class();
      } else if (c == '(') {
        groups_.push_back(out_.size());
        open_group();
      } else if (c == ')') {
        if (!groups_.empty()) {
          atom_ = groups_.back();
          groups_.pop_back();
        }
        copy(1);
      } else if (c == '{') {
        interval();
      } else {
        if (c != '*' && c != '+' && c != '?') atom_ = out_.size();
        copy(1);
      }
    }
    return std::move(out_);
  }

 private:
  void copy(size_t count) {
    count = std::min(count, in_.size() - at_);
    out_.append(in_, at_, count);
    at_ += count;
  }

  void escape(bool in_class) {
    if (at_ + 1 >= in_.size()) return copy(1);
    const char kind = in_[at_ + 1];
    if (kind == 'p' || kind == 'P') return property_escape(kind);
    if (kind == 'w' || kind == 'W' || (!in_class && (kind == 'b' || kind == 'B'))) return word_escape(kind, in_class);
    require(dialect_ == Dialect::rust || (kind != 'h' && kind != 'H'),
            "{}: the split pattern uses \\{} (hexadecimal digits), which is not supported; write a character class",
            where_, kind);
    copy(2);
  }

  // PCRE2's own \w has no combining marks, but all numbers.
  void word_escape(char kind, bool in_class) {
    require(!in_class || kind == 'w', "{}: the split pattern has \\W inside a character class, which is not supported",
            where_);
    const std::string word = std::string(R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149})"
                                         R"(\x{1F150}-\x{1F169}\x{1F170}-\x{1F189})") +
                             (dialect_ == Dialect::rust ? R"(\x{200C}\x{200D})" : R"(\xB2\xB3\xB9\xBC-\xBE)");
    if (in_class) {
      out_ += word;
    } else if (kind == 'w' || kind == 'W') {
      out_ += (kind == 'w' ? "[" : "[^") + word + "]";
    } else {
      const bool same = kind == 'B';  // both sides are word characters, or neither is
      out_ += "(?:(?<=[" + word + (same ? "])(?=[" : "])(?![") + word + "])|(?<![" + word +
              (same ? "])(?![" : "])(?=[") + word + "]))";
    }
    at_ += 2;
  }

  // \p{Han} is the script property in both dialects; PCRE2 would take it for the wider Script_Extensions.
  void property_escape(char kind) {
    const size_t close = in_.find('}', at_);
    if (at_ + 2 >= in_.size() || in_[at_ + 2] != '{' || close == in_.npos) return copy(2);
    std::string name(in_.substr(at_ + 3, close - at_ - 3));
    const bool negated = name.starts_with('^');
    if (negated) name.erase(0, 1);
    out_ += std::string("\\") + kind + "{" + (negated ? "^" : "") + property(name) + "}";
    at_ = close + 1;
  }

  static std::string property(const std::string& name) {
    struct LongName {
      std::string_view name, category;
    };
    static constexpr LongName long_names[] = {{"Letter", "L"},
                                              {"Uppercase_Letter", "Lu"},
                                              {"Lowercase_Letter", "Ll"},
                                              {"Mark", "M"},
                                              {"Number", "N"},
                                              {"Decimal_Number", "Nd"},
                                              {"Punctuation", "P"},
                                              {"Symbol", "S"},
                                              {"Separator", "Z"},
                                              {"Other", "C"}};
    static constexpr std::array<std::string_view, 9> binary = {
        "Any", "Alphabetic", "Uppercase", "Lowercase", "White_Space", "Emoji", "ASCII", "Ideographic", "Assigned"};
    for (const LongName& entry : long_names)
      if (name == entry.name) return std::string(entry.category);
    const bool as_it_is = name.size() <= 2 || std::find(binary.begin(), binary.end(), name) != binary.end() ||
                          name.find_first_of("=:") != name.npos;
    return as_it_is ? name : "sc:" + name;
  }

  void character_class() {
    copy(1);
    if (at_ < in_.size() && in_[at_] == '^') copy(1);
    if (at_ < in_.size() && in_[at_] == ']') copy(1);
    while (at_ < in_.size() && in_[at_] != ']') {
      if (in_[at_] == '\\') {
        escape(true);
        continue;
      }
      if (in_.substr(at_).starts_with("[:")) {
        const size_t close = in_.find(":]", at_);
        copy(close == in_.npos ? in_.size() : close + 2 - at_);
        continue;
      }
      require(in_[at_] != '[' && !in_.substr(at_).starts_with("&&"),
              "{}: the split pattern nests or intersects character classes (byte {}), which is not supported", where_,
              at_);
      copy(1);
    }
    copy(1);
  }

  // Oniguruma's (?m) lets a dot match newlines, which others call (?s).
  void open_group() {
    copy(1);
    if (dialect_ == Dialect::rust || at_ >= in_.size() || in_[at_] != '?') return;
    copy(1);
    while (at_ < in_.size() && (in_[at_] == 'i' || in_[at_] == 'm' || in_[at_] == 'x' || in_[at_] == '-')) {
      out_ += in_[at_] == 'm' ? 's' : in_[at_];
      ++at_;
    }
  }

  // In Oniguruma X{1,3}+ repeats X{1,3}; in PCRE2 the plus would make it possessive.
  void interval() {
    const size_t close = in_.find('}', at_);
    const bool counts = close != in_.npos && close > at_ + 1 &&
                        in_.substr(at_ + 1, close - at_ - 1).find_first_not_of("0123456789,") == in_.npos;
    if (!counts) {
      atom_ = out_.size();
      return copy(1);
    }
    copy(close + 1 - at_);
    if (dialect_ == Dialect::oniguruma && at_ < in_.size() && in_[at_] == '+') {
      out_.insert(atom_, "(?:");
      out_ += ')';
    }
  }

  std::string_view in_;
  Dialect dialect_;
  const std::string& where_;
  size_t at_ = 0, atom_ = 0;
  std::string out_;
  std::vector<size_t> groups_;
};

}  // namespace

std::string translate_pattern(std::string_view pattern, Dialect dialect, const std::string& where) {
  // "(*" begins PCRE2's own verbs (limits, options), which neither dialect has.
  require(!pattern.starts_with("(*"), "{}: the split pattern begins with '(*', a verb of another dialect", where);
  return Translator(pattern, dialect, where).run();
}

}  // namespace ingrain::tokenizer
