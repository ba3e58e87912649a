#include "jinja/lexer.h"

#include "base/error.h"
#include "base/text.h"
#include "jinja/text.h"
#include "jinja/value.h"

#include <algorithm>
#include <optional>

namespace ingrain::jinja {
namespace {

bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<uint8_t>(c) >= 0x80;
}

bool is_name_part(char c) { return is_name_start(c) || is_ascii_digit(c); }

/// One kind of line end; a single one at the very end of a template does not count.
std::string normalized(std::string_view source) {
  std::string out;
  for (size_t i = 0; i < source.size(); ++i) {
    const bool carriage_return = source[i] == '\r';
    out += carriage_return ? '\n' : source[i];
    if (carriage_return && i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalized(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) {
      const size_t open = find_opening();
      if (open == std::string::npos) {
        emit(TokenKind::Data, source_.substr(at_));
        break;
      }
      read_tag(open);
    }
    emit(TokenKind::End, "");
    return std::move(tokens_);
  }

 private:
  std::string source_;
  size_t at_ = 0;
  size_t counted_ = 0;  // line_ is that of this position
  int line_ = 1;
  bool line_starting_ = true;  // whether what precedes at_ ended a line
  std::vector<Token> tokens_;
  std::string brackets_;  // the open ones inside a tag

  int line_at(size_t position) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(counted_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(position), '\n'));
    counted_ = position;
    return line_;
  }

  void emit(TokenKind kind, std::string text) {
    if (kind == TokenKind::Data && text.empty()) return;
    tokens_.push_back({kind, std::move(text), line_at(std::max(counted_, std::min(at_, source_.size())))});
  }

  template <class... Args>
  [[noreturn]] void fail_here(fmt::format_string<Args...> format, Args&&... args) {
    fail("line {}: {}", line_at(std::max(counted_, at_)), fmt::format(format, std::forward<Args>(args)...));
  }

  size_t find_opening() const {
    for (size_t i = source_.find('{', at_); i != std::string::npos && i + 1 < source_.size();
         i = source_.find('{', i + 1))
      if (source_[i + 1] == '{' || source_[i + 1] == '%' || source_[i + 1] == '#') return i;
    return std::string::npos;
  }

  bool looking_at(std::string_view text) const { return std::string_view(source_).substr(at_).starts_with(text); }

  void skip_space() {
    while (at_ < source_.size()) {
      size_t next = at_;
      if (!is_space(next_character(source_, next))) return;
      at_ = next;
    }
  }

  /// Emits the text before an opening tag, shortened as the tag's sign and kind demand.
  void emit_before(size_t end, char sign, bool variable) {
    std::string_view text = std::string_view(source_).substr(at_, end - at_);
    if (sign == '-') {
      text = strip(text, Side::Right);
    } else if (sign != '+' && !variable) {
      const size_t line_start = text.rfind('\n') + 1;  // 0 if there is none
      if ((line_start > 0 || line_starting_) && strip(text.substr(line_start), Side::Left).empty())
        text = text.substr(0, line_start);
    }
    emit(TokenKind::Data, std::string(text));
  }

  void read_tag(size_t open) {
    const char kind = source_[open + 1];
    size_t inside = open + 2;
    const char sign =
        inside < source_.size() && (source_[inside] == '-' || source_[inside] == '+') ? source_[inside++] : '\0';
    emit_before(open, sign, kind == '{');
    at_ = inside;
    if (kind == '#') return read_comment();
    if (kind == '%' && read_raw()) return;
    emit(kind == '{' ? TokenKind::VariableBegin : TokenKind::BlockBegin, "");
    read_inside(kind == '{' ? "}}" : "%}", kind == '%');
  }

  /// Steps over a tag's end, `close`, perhaps with a sign; says whether there was one.
  bool end_tag(std::string_view close, bool trims) {
    const size_t before = at_;
    if (looking_at("-") && std::string_view(source_).substr(at_ + 1).starts_with(close)) {
      at_ += 1 + close.size();
      skip_space();
    } else if (trims && looking_at("+") && std::string_view(source_).substr(at_ + 1).starts_with(close)) {
      at_ += 1 + close.size();
    } else if (looking_at(close)) {
      at_ += close.size();
      if (trims && looking_at("\n")) ++at_;
    } else {
      return false;
    }
    line_starting_ = at_ > before && source_[at_ - 1] == '\n';
    return true;
  }

  void read_comment() {
    const size_t end = source_.find("#}", at_);
    if (end == std::string::npos) fail_here("a comment is not closed");
    const bool sign = end > at_ && (source_[end - 1] == '-' || source_[end - 1] == '+');
    at_ = sign ? end - 1 : end;
    end_tag("#}", true);
  }

  /// After `{%`: if this is a raw block, emits its content as text and steps over it.
  bool read_raw() {
    const size_t before = at_;
    const auto give_up = [&] { return at_ = before, false; };
    skip_space();
    if (!looking_at("raw")) return give_up();
    at_ += 3;
    skip_space();
    if (looking_at("-%}")) {
      at_ += 3;
      skip_space();
    } else if (looking_at("%}")) {
      at_ += 2;
    } else {
      return give_up();
    }
    line_starting_ = source_[at_ - 1] == '\n';
    read_raw_content();
    return true;
  }

  void read_raw_content() {
    const size_t start = at_;
    for (size_t open = source_.find("{%", start); open != std::string::npos; open = source_.find("{%", open + 1)) {
      at_ = open + 2;
      const char sign = looking_at("-") || looking_at("+") ? source_[at_++] : '\0';
      skip_space();
      if (!looking_at("endraw")) continue;
      at_ += 6;
      skip_space();
      const size_t end = at_;
      at_ = start;
      emit_before(open, sign, false);
      at_ = end;
      if (end_tag("%}", true)) return;
    }
    at_ = start;
    fail_here("a raw block is not closed");
  }

  void read_inside(std::string_view close, bool block) {
    const size_t start = at_;
    brackets_.clear();
    while (true) {
      skip_space();
      if (at_ >= source_.size()) {
        at_ = start;
        fail_here("a tag is not closed: '{}' is missing", close);
      }
      if (brackets_.empty() && end_tag(close, block)) break;
      read_token();
    }
    emit(block ? TokenKind::BlockEnd : TokenKind::VariableEnd, "");
  }

  void read_token() {
    const char c = source_[at_];
    if (is_ascii_digit(c)) return read_number();
    if (c == '"' || c == '\'') return read_string(c);
    if (!is_name_start(c)) return read_operator();
    const size_t start = at_;
    while (at_ < source_.size() && is_name_part(source_[at_])) ++at_;
    emit(TokenKind::Name, source_.substr(start, at_ - start));
  }

  /// Digits with single underscores between them, without the underscores.
  std::string read_digits() {
    std::string out;
    while (at_ < source_.size()) {
      const bool underscore =
          source_[at_] == '_' && !out.empty() && at_ + 1 < source_.size() && is_ascii_digit(source_[at_ + 1]);
      if (!underscore && !is_ascii_digit(source_[at_])) break;
      if (!underscore) out += source_[at_];
      ++at_;
    }
    return out;
  }

  /// 0x1f, 0o17, 0b11: as a decimal integer.
  bool read_based_number() {
    const char kind = at_ + 1 < source_.size() ? static_cast<char>(source_[at_ + 1] | 32) : '\0';
    const int base = source_[at_] != '0' ? 0 : kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
    if (base == 0) return false;
    const auto value_at = [&](size_t i) {
      const char c = i < source_.size() ? source_[i] : '\0';
      const int value = is_ascii_digit(c) ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : base;
      return value < base ? value : -1;
    };
    size_t at = at_ + 2;
    WideInteger number = 0;
    while (value_at(at) >= 0 || (at < source_.size() && source_[at] == '_' && value_at(at + 1) >= 0)) {
      if (source_[at] == '_') ++at;
      const bool overflow = __builtin_mul_overflow(number, WideInteger{base}, &number) ||
                            __builtin_add_overflow(number, WideInteger{value_at(at)}, &number);
      if (overflow) fail_here("an integer exceeds 64 bits by far");
      ++at;
    }
    if (at == at_ + 2) return false;
    at_ = at;
    emit(TokenKind::Integer, digits_of(Value::integer(number)));
    return true;
  }

  void read_number() {
    if (read_based_number()) return end_number();
    std::string text = read_digits();
    bool real = false;
    const bool member = !tokens_.empty() && tokens_.back().kind == TokenKind::Operator && tokens_.back().text == ".";
    if (!member && at_ + 1 < source_.size() && source_[at_] == '.' && is_ascii_digit(source_[at_ + 1])) {
      ++at_;
      text += '.' + read_digits();
      real = true;
    }
    if (!member && (looking_at("e") || looking_at("E"))) {
      size_t digits = at_ + 1;
      if (digits < source_.size() && (source_[digits] == '+' || source_[digits] == '-')) ++digits;
      if (digits < source_.size() && is_ascii_digit(source_[digits])) {
        text += source_.substr(at_, digits - at_);
        at_ = digits;
        text += read_digits();
        real = true;
      }
    }
    if (!real && text.size() > 1 && text[0] == '0' && text.find_first_not_of('0') != text.npos)
      fail_here("a number begins with zero");
    emit(real ? TokenKind::Float : TokenKind::Integer, std::move(text));
    end_number();
  }

  void end_number() {
    if (at_ < source_.size() && is_name_start(source_[at_])) fail_here("a number is followed by a letter");
  }

  void read_string(char quote) {
    std::string out;
    const size_t start = at_++;
    while (at_ < source_.size() && source_[at_] != quote) {
      if (source_[at_] == '\\' && at_ + 1 < source_.size()) {
        read_escape(out);
      } else {
        out += source_[at_++];
      }
    }
    if (at_ >= source_.size()) {
      at_ = start;
      fail_here("a string is not closed");
    }
    ++at_;
    emit(TokenKind::String, std::move(out));
  }

  void read_escape(std::string& out) {
    static constexpr std::string_view kFrom = "abfnrtv\\'\"", kTo = "\a\b\f\n\r\t\v\\'\"";
    const char c = source_[at_ + 1];
    if (const size_t simple = kFrom.find(c); simple != kFrom.npos) {
      out += kTo[simple];
      at_ += 2;
    } else if (c == '\n') {
      at_ += 2;
    } else if (c == 'x' || c == 'u' || c == 'U') {
      read_code(out, at_ + 2, c == 'x' ? 2 : c == 'u' ? 4 : 8, 16);
    } else if (c >= '0' && c <= '7') {
      size_t digits = 1;
      while (digits < 3 && at_ + 1 + digits < source_.size() && source_[at_ + 1 + digits] >= '0' &&
             source_[at_ + 1 + digits] <= '7')
        ++digits;
      read_code(out, at_ + 1, digits, 8);
    } else if (c == 'N') {
      fail_here("characters by name (\\N) are not supported; write the character itself");
    } else {
      out += '\\';  // an unknown escape stands for itself
      ++at_;
    }
  }

  void read_code(std::string& out, size_t start, size_t digits, int base) {
    uint32_t code = 0;
    for (size_t i = start; i < start + digits; ++i) {
      const char c = i < source_.size() ? source_[i] : '\0';
      const int value = is_ascii_digit(c)      ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : base;
      if (value >= base) fail_here("a broken escape in a string");
      code = code * static_cast<uint32_t>(base) + static_cast<uint32_t>(value);
    }
    const bool half = code >= 0xD800 && code < 0xE000;  // of a surrogate pair, which Python's strings may hold
    if (half || code > 0x10FFFF)
      fail_here("the escape '{}' in a string names {}", printable(source_.substr(at_, start + digits - at_)),
                half ? "half of a character, which text in UTF-8 cannot hold" : "no character");
    append_character(out, code);
    at_ = start + digits;
  }

  void read_operator() {
    static constexpr std::string_view kOperators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                      "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                      ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    const auto found =
        std::find_if(std::begin(kOperators), std::end(kOperators), [&](std::string_view op) { return looking_at(op); });
    if (found == std::end(kOperators)) fail_here("unexpected character '{}'", printable(source_.substr(at_, 1)));
    const char c = (*found)[0];
    if (c == '(' || c == '[' || c == '{') brackets_ += c == '(' ? ')' : c == '[' ? ']' : '}';
    if (c == ')' || c == ']' || c == '}') {
      if (brackets_.empty() || brackets_.back() != c) fail_here("unexpected '{}'", c);
      brackets_.pop_back();
    }
    at_ += found->size();
    emit(TokenKind::Operator, std::string(*found));
  }
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace ingrain::jinja
