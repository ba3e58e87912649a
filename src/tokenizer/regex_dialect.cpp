// Oniguruma's (Ruby's) and Rust's pattern syntax, as far as it differs from PCRE2's. What is not known to mean the same
// is refused: a pattern that means something else gives other ids without a word.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "base/utf8.h"
#include "tokenizer/pattern_translator.h"

namespace ingrain::tokenizer {
namespace {

constexpr size_t kMaxGroups = 64;  // inside each other

}  // namespace

std::string PatternTranslator::run() {
  while (at_ < in_.size()) step();
  out_.append(groups_.front().opened, ')');
  return std::move(out_);
}

void PatternTranslator::copy(size_t count) {
  count = std::min(count, in_.size() - at_);
  out_.append(in_, at_, count);
  at_ += count;
}

void PatternTranslator::replace(size_t count, std::string_view by) {
  out_ += by;
  at_ += count;
}

void PatternTranslator::step() {
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

bool PatternTranslator::skip_blank() {
  if (in_[at_] == '#') {
    at_ = std::min(in_.find('\n', at_), in_.size());
    return true;
  }
  if (utf8_step(in_, at_).kind != Utf8::valid || !is_white_space(utf8_decode(in_, at_))) return false;
  at_ += utf8_step(in_, at_).length;
  return true;
}

/// One character as it is. Oniguruma's (?i) also takes "ss" for "ß" and the like, which PCRE2's does not.
void PatternTranslator::character() {
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

// -- groups -----------------------------------------------------------------------------------------------------------

void PatternTranslator::open_group() {
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

void PatternTranslator::push(const Group& group, size_t count, std::string_view head) {
  require(groups_.size() <= kMaxGroups, "{}: the split pattern has more than {} parentheses inside each other", where_,
          kMaxGroups);
  groups_.push_back(group);
  replace(count, head);
  atom_ = std::string::npos;
}

void PatternTranslator::comment() {
  for (at_ += 3; at_ < in_.size() && in_[at_] != ')';) at_ += in_[at_] == '\\' ? 2 : 1;
  require(at_ < in_.size(), "{}: the split pattern has a comment without an end", where_);
  ++at_;
}

// Oniguruma's (?m) lets a dot match newlines, which others call (?s). Ruby's inner (?i) goes on to the end of its
// group with all alternatives in it: x(?i)b|c is x(?i:b|c). (?x) is dealt with here, so that PCRE2 need not know.
void PatternTranslator::flags(Group inner) {
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

void PatternTranslator::close_group() {
  if (groups_.size() > 1) {
    out_.append(now().opened, ')');
    atom_ = now().begin;
    groups_.pop_back();
  }
  stacked_ = 0;
  copy(1);
}

// -- quantifiers ------------------------------------------------------------------------------------------------------

/// Whether a quantifier in braces begins here; then interval_ and length_ say what it is.
bool PatternTranslator::read_interval() {
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

void PatternTranslator::brace() {
  if (!ruby_) refuse("has a brace that is neither escaped nor a quantifier");
  replace(1, R"(\{)");
}

/// One quantifier with its suffix. In Oniguruma X{2}? is (X{2})?, X{1,3}+ is (X{1,3})+, and others may follow.
void PatternTranslator::quantifier() {
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

std::string translate_pattern(std::string_view pattern, Dialect dialect, const std::string& where) {
  return PatternTranslator(pattern, dialect, where).run();
}

}  // namespace ingrain::tokenizer
