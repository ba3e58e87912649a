#include "data/json_line.h"

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

#include <algorithm>
#include <optional>
#include <vector>

namespace ingrain::data {
namespace {

constexpr size_t kMaxNesting = 64;
constexpr size_t kNamesShown = 8;

/// Goes through an object's fields without making values of them.
class Line {
 public:
  Line(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  std::string text_in(const std::string& field) {
    blanks();
    if (peek() == '[') fail("{}: {}", where_, kArray);
    if (peek() != '{') not_an_object();
    ++at_;
    std::optional<std::string_view> found;
    std::vector<std::string> with_text;
    blanks();
    if (peek() != '}') {
      do {
        const std::string key = name();
        const std::string_view raw = value();
        if (key == field) {
          require(!found, "{}: '{}' is given twice in one object; keep one of them", where_, printable(field));
          found = raw;
        } else if (raw[0] == '"' && with_text.size() < kNamesShown) {
          with_text.push_back(printable(key, 40));
        }
        blanks();
      } while (take(','));
    }
    expect('}');
    blanks();
    if (at_ != text_.size()) broken("more follows the object");
    require(found.has_value(), "{}: has no field '{}' (fields with text: {}); name one of them as the field", where_,
            field, with_text.empty() ? "none" : fmt::format("{}", fmt::join(with_text, ", ")));
    require((*found)[0] == '"', "{}: field '{}' is not text; name another", where_, field);
    return parse_json(*found, where_).get<std::string>();
  }

  /// Error where the text ends before that is known.
  bool begins_array_with(const std::string& field) {
    blanks();
    if (!take('[')) return false;
    blanks();
    if (!take('{')) return false;
    do {
      if (name() == field) return peek() == '"';
      value();
      blanks();
    } while (take(','));
    return false;
  }

 private:
  [[noreturn]] void broken(const char* why) const { fail("{}: no valid JSON: {} at byte {}", where_, why, at_ + 1); }
  [[noreturn]] void not_an_object() {
    parse_json(text_, where_);  // says what is wrong with it, if it is no JSON at all
    fail("{}: no JSON object; JSONL needs one per line", where_);
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) broken(c == ':' ? "a ':' belongs" : "a ',' or '}' belongs");
  }
  void blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\r' || text_[at_] == '\n'))
      ++at_;
  }

  /// A string with its quotes, as it is written.
  std::string_view string() {
    const size_t begin = at_;
    if (!take('"')) broken("a '\"' belongs");
    for (;;) {
      const size_t next = text_.find_first_of("\"\\", at_);
      if (next == text_.npos || (text_[next] == '\\' && next + 1 >= text_.size())) broken("a string without an end");
      at_ = next + (text_[next] == '"' ? 1 : 2);
      if (text_[next] == '"') return text_.substr(begin, at_ - begin);
    }
  }

  /// A key with escapes is spelt out; one that cannot be is nobody's name.
  static std::string decoded(std::string_view key) {
    const std::string_view inner = key.substr(1, key.size() - 2);
    if (inner.find('\\') == inner.npos) return std::string(inner);
    const auto json = nlohmann::json::parse(key, nullptr, /*allow_exceptions=*/false);
    return json.is_string() ? json.get<std::string>() : std::string(key);
  }

  /// A field's, to where its value begins.
  std::string name() {
    blanks();
    std::string out = decoded(string());
    blanks();
    expect(':');
    blanks();
    return out;
  }

  /// A number or a word: what may stand between the signs of JSON, of any size.
  void plain() {
    const size_t begin = at_;
    at_ = std::min(text_.find_first_of(",]} \t\r\n:\"[{", at_), text_.size());
    const std::string_view word = text_.substr(begin, at_ - begin);
    for (const std::string_view known : {"true", "false", "null", "NaN", "Infinity", "-Infinity"})
      if (word == known) return;
    if (word.empty() || word.find_first_not_of("0123456789+-.eE") != word.npos) broken("a value belongs");
  }

  /// Any value, as it is written.
  std::string_view value() {
    const size_t begin = at_;
    std::string open;  // the brackets that are open
    bool after_value = false;
    do {
      blanks();
      const char c = peek();
      if (c == '[' || c == '{') {
        if (after_value) broken("a ',' belongs");
        if (open.size() >= kMaxNesting)
          fail("{}: nested deeper than {} levels; the file is damaged", where_, kMaxNesting);
        open += c;
        ++at_;
        after_value = false;
      } else if (!open.empty() && c == (open.back() == '[' ? ']' : '}')) {
        open.pop_back();
        ++at_;
        after_value = true;
      } else if (!open.empty() && after_value && (c == ',' || (c == ':' && open.back() == '{'))) {
        ++at_;
        after_value = false;
      } else {
        if (after_value) broken("a ',' belongs");
        if (c == '"')
          string();
        else
          plain();
        after_value = true;
      }
    } while (!open.empty());
    return text_.substr(begin, at_ - begin);
  }

  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
};

}  // namespace

std::string field_of_line(std::string_view line, const std::string& field, const std::string& where) {
  return Line(line, where).text_in(field);
}

bool begins_array_of_documents(std::string_view head, const std::string& field) {
  try {
    const std::string nowhere;
    return Line(head, nowhere).begins_array_with(field);
  } catch (const Error&) {
    return false;
  }
}

bool has_text_field(std::string_view line, const std::string& field) {
  try {
    const std::string nowhere;
    Line(line, nowhere).text_in(field);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace ingrain::data
