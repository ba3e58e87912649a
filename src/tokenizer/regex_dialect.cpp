// Oniguruma's (Ruby's) and Rust's pattern syntax, as far as it differs from PCRE2's. What is not known to mean the same
// is refused: a pattern that means something else gives other ids without a word.
#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "tokenizer/regex.h"
#include "base/utf8.h"

namespace ingrain::tokenizer {
namespace {

constexpr size_t kMaxGroups = 64;  // inside each other
constexpr std::string_view kHexDigits = "0-9A-Fa-f";

bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex_digit(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// What may stand between [: and :] in Oniguruma's classes. Alphabetic and lower-case characters are not the same in
/// both libraries' versions of Unicode.
std::string_view posix_class(std::string_view name) {
  constexpr std::pair<std::string_view, std::string_view> kClasses[] = {
      {"digit", R"(\p{Nd})"},        {"space", R"(\s)"},     {"xdigit", kHexDigits},   {"ascii", R"(\x00-\x7F)"},
      {"upper", R"(\p{Uppercase})"}, {"cntrl", R"(\p{Cc})"}, {"blank", R"(\p{Zs}\t)"}, {"punct", R"(\p{P}\p{S})"}};
  for (const auto& [known, meaning] : kClasses)
    if (known == name) return meaning;
  return {};
}

// Walks the pattern once. The start of the last complete atom is remembered for quantifiers that need a group.
class Translator {
 public:
  Translator(std::string_view pattern, Dialect dialect, const std::string& where)
      : in_(pattern), ruby_(dialect == Dialect::oniguruma), where_(where) {}

  std::string run() {
    while (at_ < in_.size()) step();
    out_.append(groups_.front().opened, ')');
    return std::move(out_);
  }

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
  void copy(size_t count) {
    count = std::min(count, in_.size() - at_);
    out_.append(in_, at_, count);
    at_ += count;
  }
  void replace(size_t count, std::string_view by) {
    out_ += by;
    at_ += count;
  }

  void step() {
    const char c = in_[at_];
    if (c != '\\' && !is_ascii_letter(c)) last_letter_ = '\0';
    if (now().extended && skip_blank()) return;
    if (c == '(') return open_group();
    if (c == ')') return close_group();
    if (c == '|') {
      copy(1);
      atom_ = std::string::npos;
      return;
    }
    if (c == '*' || c == '+' || c == '?' || (c == '{' && read_interval())) return quantifier();
    atom_ = out_.size();
    stacked_ = 0;
    if (c == '\\')
      escape(false);
    else if (c == '[')
      character_class();
    else if (c == '{')
      brace();
    else
      character();
  }

  bool skip_blank() {
    if (in_[at_] == '#') {
      at_ = std::min(in_.find('\n', at_), in_.size());
      return true;
    }
    if (utf8_step(in_, at_).kind != Utf8::valid || !is_white_space(utf8_decode(in_, at_))) return false;
    at_ += utf8_step(in_, at_).length;
    return true;
  }

  /// One character as it is. Oniguruma's (?i) also takes "ss" for "ß" and the like, which PCRE2's does not.
  void character() {
    const Utf8Step step = utf8_step(in_, at_);
    if (ruby_ && now().fold) {
      const char c = static_cast<char>(in_[at_] | 0x20);
      const std::array<char, 2> pair{last_letter_, c};
      constexpr std::string_view kPairs = "ss ff fi fl st";
      const bool folds = step.length == 1 ? last_letter_ && is_ascii_letter(c) &&
                                                kPairs.find(std::string_view(pair.data(), 2)) != kPairs.npos
                                          : step.kind == Utf8::valid && is_word_character(utf8_decode(in_, at_));
      if (folds) refuse("ignores case where one letter becomes several");
      last_letter_ = step.length == 1 && is_ascii_letter(c) ? c : '\0';
    }
    copy(step.length);
  }

  // -- escapes ---------------------------------------------------------------------------------------------

  void escape(bool in_class) {
    if (at_ + 1 >= in_.size()) return copy(1);
    const char kind = in_[at_ + 1];
    switch (kind) {
      case 'p':
      case 'P': return property_escape(kind);
      case 'w':
      case 'W': return word_escape(kind, in_class);
      case 'h':
      case 'H': return hexadecimal_class(kind, in_class);
      case 'd':
      case 'D':
      case 's':
      case 'S':
      case 't':
      case 'n':
      case 'r':
      case 'f':
      case 'a':
      case 'e': return copy(2);
      case 'v': return replace(2, R"(\x0B)");
      case 'x':
      case 'u': return code_point();
      case 'U':
        if (!ruby_) return code_point();
        break;
      default: break;
    }
    if (!is_ascii_letter(kind) && !is_digit(kind)) return escaped_sign(kind);
    if (in_class)
      escape_in_class(kind);
    else
      escape_outside(kind);
  }

  void escaped_sign(char kind) {
    if (!ruby_ && (kind == '<' || kind == '>')) refuse("has \\{}, the edge of a word", kind);
    if (static_cast<uint8_t>(kind) < 0x80) return copy(2);
    ++at_;  // the backslash
    copy(utf8_step(in_, at_).length);
  }

  void escape_in_class(char kind) {
    if (ruby_ && kind == 'b') return replace(2, R"(\x08)");
    if (ruby_ && kind == '0') return octal();
    if (!ruby_ || is_digit(kind) || kind == 'c' || kind == 'C' || kind == 'M' || kind == 'o')
      refuse("has \\{} inside a character class", kind);
    replace(2, std::string_view(&in_[at_ + 1], 1));  // a letter that is nothing special
  }

  void escape_outside(char kind) {
    switch (kind) {
      case 'b':
      case 'B':
        if (!ruby_ && peek(2) == '{') refuse("has \\{}{{", kind);
        return word_escape(kind, false);
      case 'A':
      case 'z':
      case 'K':
      case 'G': return copy(2);
      case 'Z':
        if (ruby_) return copy(2);
        break;
      case 'k':
        if (peek(2) == '<' || peek(2) == '\'') return copy(2);
        break;
      case 'R':
        if (ruby_) return replace(2, R"((?>\r\n|[\n-\r\x{85}\x{2028}\x{2029}]))");
        break;
      case 'N':
        if (ruby_) return replace(2, R"([^\n])");
        break;
      case 'O':
        if (ruby_) return replace(2, R"((?s:.))");
        break;
      case '0':
        if (ruby_) return octal();
        break;
      case 'X':
      case 'y':
      case 'Y':
      case 'g':
      case 'c':
      case 'C':
      case 'M':
      case 'o': break;
      default:
        if (is_digit(kind) && !is_digit(peek(2))) return copy(2);
        if (ruby_ && is_ascii_letter(kind)) return replace(2, std::string_view(&in_[at_ + 1], 1));
    }
    refuse("has \\{}", kind);
  }

  /// Up to two octal digits after the zero.
  void octal() {
    size_t count = 2;
    while (count < 4 && peek(count) >= '0' && peek(count) <= '7') ++count;
    out_ += fmt::format("\\x{{{:x}}}", octal_value(in_.substr(at_ + 1, count - 1)));
    at_ += count;
  }
  static uint32_t octal_value(std::string_view digits) {
    uint32_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value, 8);
    return value;
  }

  /// \xHH, \x{...}, \uHHHH; in Rust's syntax also \u{...} and \UHHHHHHHH. Oniguruma's \xHH is a byte, of which several
  /// make a character.
  void code_point() {
    const char kind = in_[at_ + 1];
    if (peek(2) == '{') {
      const size_t close = in_.find('}', at_);
      const std::string_view digits = close == in_.npos ? std::string_view() : in_.substr(at_ + 3, close - at_ - 3);
      if ((ruby_ && kind == 'u') || digits.empty() || digits.size() > 8 ||
          !std::all_of(digits.begin(), digits.end(), is_hex_digit))
        refuse("has \\{} without a hexadecimal number", kind);
      out_ += fmt::format("\\x{{{}}}", digits);
      at_ = close + 1;
      return;
    }
    const size_t wanted = kind == 'x' ? 2 : kind == 'u' ? 4 : 8;
    size_t count = 0;
    while (count < wanted && is_hex_digit(peek(2 + count))) ++count;
    if (count < wanted && !(ruby_ && kind == 'x')) refuse("has \\{} with fewer than {} digits", kind, wanted);
    uint32_t value = 0;
    std::from_chars(in_.data() + at_ + 2, in_.data() + at_ + 2 + count, value, 16);
    if (!ruby_ || kind != 'x' || value < 0x80) {
      out_ += fmt::format("\\x{{{:x}}}", value);
      at_ += 2 + count;
      return;
    }
    std::string bytes;
    while (next_is("\\x") && is_hex_digit(peek(2)) && is_hex_digit(peek(3))) {
      uint32_t byte = 0;
      std::from_chars(in_.data() + at_ + 2, in_.data() + at_ + 4, byte, 16);
      if (byte < 0x80 || (!bytes.empty() && byte >= 0xC0)) break;
      bytes += static_cast<char>(byte);
      at_ += 4;
    }
    if (bytes.empty() || utf8_step(bytes, 0).kind != Utf8::valid || utf8_step(bytes, 0).length != bytes.size())
      refuse("has \\x bytes that are no character");
    out_ += fmt::format("\\x{{{:x}}}", static_cast<uint32_t>(utf8_decode(bytes, 0)));
  }

  void hexadecimal_class(char kind, bool in_class) {
    if (in_class && kind == 'H') refuse("has \\H inside a character class");
    replace(2, in_class ? std::string(kHexDigits) : (kind == 'h' ? "[" : "[^") + std::string(kHexDigits) + "]");
  }

  // PCRE2's own \w has no combining marks, but all numbers.
  void word_escape(char kind, bool in_class) {
    if (in_class && kind != 'w') refuse("has \\W inside a character class");
    const std::string word = std::string(R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149})"
                                         R"(\x{1F150}-\x{1F169}\x{1F170}-\x{1F189})") +
                             (ruby_ ? R"(\xB2\xB3\xB9\xBC-\xBE)" : R"(\x{200C}\x{200D})");
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

  // \p{Han} is the script property in both dialects; PCRE2 would take it for the wider Script_Extensions. \pL without
  // braces is a category in Rust's syntax and the letters p and L in Ruby's.
  void property_escape(char kind) {
    if (peek(2) != '{') {
      if (ruby_) return replace(2, std::string_view(&in_[at_ + 1], 1));
      return copy(3);
    }
    const size_t close = in_.find('}', at_);
    if (close == in_.npos) return copy(2);
    std::string name(in_.substr(at_ + 3, close - at_ - 3));
    const bool negated = name.starts_with('^');
    if (negated) name.erase(0, 1);
    out_ += std::string("\\") + kind + "{" + (negated ? "^" : "") + property(name) + "}";
    at_ = close + 1;
  }

  // Case, blanks, hyphens and low lines in names mean nothing.
  std::string property(const std::string& name) const {
    struct LongName {
      std::string_view name, category;
    };
    static constexpr LongName long_names[] = {{"letter", "L"},
                                              {"uppercaseletter", "Lu"},
                                              {"lowercaseletter", "Ll"},
                                              {"titlecaseletter", "Lt"},
                                              {"modifierletter", "Lm"},
                                              {"otherletter", "Lo"},
                                              {"mark", "M"},
                                              {"nonspacingmark", "Mn"},
                                              {"number", "N"},
                                              {"decimalnumber", "Nd"},
                                              {"letternumber", "Nl"},
                                              {"othernumber", "No"},
                                              {"punctuation", "P"},
                                              {"symbol", "S"},
                                              {"separator", "Z"},
                                              {"other", "C"}};
    static constexpr std::string_view binary[] = {"any", "uppercase", "whitespace", "ascii"};
    std::string plain;
    for (const char c : name)
      if (c != ' ' && c != '-' && c != '_') plain += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    if (ruby_ && (plain == "alphabetic" || plain == "lowercase" || plain == "emoji"))
      refuse("has the property '{}', of which libraries know different versions", printable(name));
    for (const LongName& entry : long_names)
      if (plain == entry.name) return std::string(entry.category);
    const bool as_it_is = name.size() <= 2 ||
                          std::find(std::begin(binary), std::end(binary), plain) != std::end(binary) ||
                          name.find_first_of("=:") != name.npos;
    return as_it_is ? name : "sc:" + name;
  }

  // -- classes ---------------------------------------------------------------------------------------------

  void character_class() {
    copy(1);
    if (peek(0) == '^') copy(1);
    if (peek(0) == ']') copy(1);
    while (at_ < in_.size() && in_[at_] != ']') {
      if (in_[at_] == '\\') {
        escape(true);
        continue;
      }
      if (next_is("[:")) {
        posix();
        continue;
      }
      if (in_[at_] == '[' || next_is("&&") || (!ruby_ && (next_is("--") || next_is("~~"))))
        refuse("nests or combines character classes");
      if (!ruby_ && now().extended && skip_blank()) refuse("has blanks inside a character class under (?x)");
      if (ruby_ && now().fold && utf8_step(in_, at_).length > 1 && is_word_character(utf8_decode(in_, at_)))
        refuse("ignores case where one letter becomes several");
      copy(utf8_step(in_, at_).length);
    }
    copy(1);
  }

  void posix() {
    const size_t close = in_.find(":]", at_);
    if (close == in_.npos) return copy(in_.size());
    const std::string_view name = in_.substr(at_ + 2, close - at_ - 2);
    const std::string_view meaning = ruby_ ? posix_class(name) : std::string_view();
    if (meaning.empty()) refuse("has the class [:{}:]", printable(name));
    out_ += meaning;
    at_ = close + 2;
  }

  // -- groups ----------------------------------------------------------------------------------------------

  void open_group() {
    if (next_is("(*")) refuse("has '(*'");
    if (next_is("(?#")) return comment();
    Group inner{.begin = out_.size(), .fold = now().fold, .extended = now().extended};
    if (!next_is("(?")) return push(inner, 1, "(");
    for (const std::string_view head : {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"})
      if (next_is(head)) return push(inner, head.size(), head);
    if (next_is("(?<") || (ruby_ && next_is("(?'"))) return push(inner, 3, in_.substr(at_, 3));
    if (!ruby_ && next_is("(?P<")) return push(inner, 4, "(?P<");
    flags(inner);
  }

  void push(const Group& group, size_t count, std::string_view head) {
    require(groups_.size() <= kMaxGroups, "{}: the split pattern has more than {} parentheses inside each other",
            where_, kMaxGroups);
    groups_.push_back(group);
    replace(count, head);
    atom_ = std::string::npos;
  }

  void comment() {
    for (at_ += 3; at_ < in_.size() && in_[at_] != ')';) at_ += in_[at_] == '\\' ? 2 : 1;
    require(at_ < in_.size(), "{}: the split pattern has a comment without an end", where_);
    ++at_;
  }

  // Oniguruma's (?m) lets a dot match newlines, which others call (?s). Ruby's inner (?i) goes on to the end of its
  // group with all alternatives in it: x(?i)b|c is x(?i:b|c). (?x) is dealt with here, so that PCRE2 need not know.
  void flags(Group inner) {
    std::string out = "(?";
    bool on = true, to_rest = false;
    for (at_ += 2;; ++at_) {
      const char c = peek(0);
      if (c == ')' || c == ':') {
        to_rest = c == ')';
        break;
      }
      if (c == '-') {
        on = false;
        out += c;
      } else if (c == 'x') {
        inner.extended = on;
      } else if (c == 'i') {
        inner.fold = on;
        out += c;
      } else if (c == 'm') {
        out += ruby_ ? 's' : 'm';
      } else if (c == 's' && !ruby_) {
        out += c;
      } else {
        refuse("has a group that begins with '(?{}'", printable(in_.substr(at_, 1)));
      }
    }
    if (out.ends_with('-')) out.pop_back();
    if (!to_rest) return push(inner, 1, out + ":");
    ++at_;
    now().fold = inner.fold;
    now().extended = inner.extended;
    atom_ = std::string::npos;
    if (out == "(?") return;
    out_ += out + (ruby_ ? ":" : ")");
    if (ruby_) ++now().opened;
    require(now().opened <= kMaxGroups, "{}: the split pattern has more than {} parentheses inside each other", where_,
            kMaxGroups);
  }

  void close_group() {
    if (groups_.size() > 1) {
      out_.append(now().opened, ')');
      atom_ = now().begin;
      groups_.pop_back();
    }
    stacked_ = 0;
    copy(1);
  }

  // -- quantifiers -----------------------------------------------------------------------------------------

  /// Whether a quantifier in braces begins here; then interval_ and length_ say what it is.
  bool read_interval() {
    const size_t close = in_.find('}', at_);
    if (close == in_.npos) return false;
    const std::string_view inside = in_.substr(at_ + 1, close - at_ - 1);
    const size_t comma = inside.find(',');
    const auto is_number = [](std::string_view text) { return std::all_of(text.begin(), text.end(), is_digit); };
    const std::string_view low = inside.substr(0, comma), high = comma == inside.npos ? low : inside.substr(comma + 1);
    if (!is_number(low) || !is_number(high) || (low.empty() && high.empty())) return false;
    if (low.empty() && !ruby_) refuse("has {{,{}}}", high);
    if (low.size() > 5 || high.size() > 5) refuse("repeats something {} times", inside);
    if (!low.empty() && !high.empty() && std::stoi(std::string(low)) > std::stoi(std::string(high)))
      refuse("has {{{}}}, an interval that ends before it begins", inside);
    fixed_ = comma == inside.npos;
    interval_ = "{" + (low.empty() ? "0" : std::string(low)) + (fixed_ ? "" : "," + std::string(high)) + "}";
    length_ = close + 1 - at_;
    return true;
  }

  void brace() {
    if (!ruby_) refuse("has a brace that is neither escaped nor a quantifier");
    replace(1, R"(\{)");
  }

  /// One quantifier with its suffix. In Oniguruma X{2}? is (X{2})?, X{1,3}+ is (X{1,3})+, and others may follow.
  void quantifier() {
    const bool is_interval = in_[at_] == '{';
    std::string text = is_interval ? interval_ : std::string(1, in_[at_]);
    at_ += is_interval ? length_ : 1;
    const char suffix = peek(0);
    const bool lazy = suffix == '?' && !(ruby_ && is_interval && fixed_);
    const bool possessive = suffix == '+' && !(ruby_ && is_interval);
    if (lazy || possessive) {
      text += suffix;
      ++at_;
    }
    const int kind = is_interval ? 1 : lazy ? 3 : 2;
    if (stacked_ > 0) {
      if (!ruby_ || (stacked_ >= 2 && kind >= 2 && (stacked_ == 3 || kind == 3)))
        refuse("has quantifiers on top of each other");
      if (atom_ != std::string::npos) {
        out_.insert(atom_, "(?:");
        out_ += ')';
      }
    }
    stacked_ = kind;
    out_ += text;
  }

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

}  // namespace

std::string translate_pattern(std::string_view pattern, Dialect dialect, const std::string& where) {
  return Translator(pattern, dialect, where).run();
}

}  // namespace ingrain::tokenizer
