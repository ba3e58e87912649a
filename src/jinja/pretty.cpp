// The filter pprint: repr() in lines of at most 80 characters where that can be, dictionaries in the order of their
// keys.
#include "jinja/runtime.h"
#include "jinja/text.h"

#include <algorithm>

namespace ingrain::jinja {
namespace {

constexpr int64_t kWidth = 80;

/// What Python calls a key's type: the order of keys that have none among themselves.
std::string_view class_of(const Value& key) {
  if (key.is_none()) return "NoneType";
  if (key.is_safe()) return "markupsafe.Markup";
  return key.is_undefined() ? "jinja2.runtime.Undefined" : type_name(key);
}

/// a < b; nothing where that is an error in Python (but for what is undefined, which is refused).
std::optional<bool> less_if_ordered(Runtime& rt, const Value& a, const Value& b) {
  if ((a.is_number() && b.is_number()) || (a.as_text() && b.as_text())) return less(rt, a, b);
  const List *left = a.as_list(), *right = b.as_list();
  if (left && right && left->is_tuple() && right->is_tuple()) {
    for (size_t i = 0; i < left->items.size() && i < right->items.size(); ++i)
      if (!same_or_equal(rt, left->items[i], right->items[i]))
        return less_if_ordered(rt, left->items[i], right->items[i]);
    return left->items.size() < right->items.size();
  }
  refuse_undefined(a);
  refuse_undefined(b);
  return std::nullopt;
}

bool key_less(Runtime& rt, const Value& a, const Value& b) {
  rt.charge(8);
  const auto known = less_if_ordered(rt, a, b);
  return known ? *known : class_of(a) < class_of(b);
}

/// Python's pprint.PrettyPrinter as pformat() makes it. `indent` is where a value begins, `allowance` what follows it
/// on its last line, `level` how many containers are open.
class PrettyWriter {
 public:
  explicit PrettyWriter(Runtime& runtime) : runtime_(runtime) {}

  void write(const Value& value, int64_t indent, int64_t allowance, int level) {
    const std::string plain = line_of(value);
    const bool fits = width_of(plain) <= kWidth - indent - allowance;
    const List* list = value.as_list();
    if (!fits && value.as_dict())
      write_dict(*value.as_dict(), indent, allowance, level + 1);
    else if (!fits && list && (list->is_list() || list->kind == List::Kind::Tuple || list->kind == List::Kind::Set))
      write_list(*list, indent, allowance, level + 1);
    else if (!fits && value.as_text() && !value.is_safe())
      write_text(*value.as_text(), plain, indent, allowance, level + 1);
    else
      add(plain);
  }

  std::string out;

 private:
  Runtime& runtime_;

  void add(std::string_view text) {
    runtime_.charge(text.size());
    out += text;
  }

  void new_line(int64_t indent) { add("\n" + std::string(static_cast<size_t>(indent), ' ')); }

  static int64_t width_of(std::string_view text) { return static_cast<int64_t>(count_characters(text)); }

  std::vector<std::pair<Value, Value>> sorted_items(const Dict& dict) {
    auto items = dict.items;
    runtime_.charge(items.size() * 2 * sizeof(Value));
    std::stable_sort(items.begin(), items.end(),
                     [&](const auto& a, const auto& b) { return key_less(runtime_, a.first, b.first); });
    return items;
  }

  /// repr() on one line.
  std::string line_of(const Value& value) {
    runtime_.charge(16);
    std::string line;
    if (const Dict* dict = value.as_dict()) {
      for (const auto& [key, item] : sorted_items(*dict))
        line += (line.empty() ? "" : ", ") + line_of(key) + ": " + line_of(item);
      line = "{" + line + "}";
    } else if (const List* list = value.as_list(); list && (list->is_list() || list->kind == List::Kind::Tuple)) {
      for (const Value& item : list->items) line += (line.empty() ? "" : ", ") + line_of(item);
      if (list->is_tuple() && list->items.size() == 1) line += ',';
      line = list->is_tuple() ? "(" + line + ")" : "[" + line + "]";
    } else {
      return repr_of(runtime_, value);
    }
    runtime_.charge(line.size());
    return line;
  }

  void write_dict(const Dict& dict, int64_t indent, int64_t allowance, int level) {
    add("{");
    ++indent;
    const auto items = sorted_items(dict);
    for (size_t i = 0; i < items.size(); ++i) {
      const std::string key = line_of(items[i].first);
      const bool last = i + 1 == items.size();
      add(key + ": ");
      write(items[i].second, indent + width_of(key) + 2, last ? allowance + 1 : 1, level);
      if (!last) add(","), new_line(indent);
    }
    add("}");
  }

  void write_list(const List& list, int64_t indent, int64_t allowance, int level) {
    const bool set = list.kind == List::Kind::Set;
    std::vector<Value> items = list.items;
    if (set)
      std::stable_sort(items.begin(), items.end(),
                       [&](const Value& a, const Value& b) { return key_less(runtime_, a, b); });
    const std::string_view close = list.is_list() ? "]" : set ? "}" : items.size() == 1 ? ",)" : ")";
    add(list.is_list() ? "[" : set ? "{" : "(");
    ++indent;
    allowance += static_cast<int64_t>(close.size());
    for (size_t i = 0; i < items.size(); ++i) {
      const bool last = i + 1 == items.size();
      write(items[i], indent, last ? allowance : 1, level);
      if (!last) add(","), new_line(indent);
    }
    add(close);
  }

  /// A long text as several, one below the other, cut after its lines' ends and white space.
  void write_text(const std::string& text, const std::string& plain, int64_t indent, int64_t allowance, int level) {
    if (level == 1) ++indent, ++allowance;
    const auto lines = split_lines(text, true);
    std::vector<std::string> chunks;
    for (size_t i = 0; i < lines.size(); ++i)
      cut_line(lines[i], kWidth - indent, i + 1 == lines.size() ? allowance : 0, chunks);
    if (chunks.size() <= 1) return add(plain);
    if (level == 1) add("(");
    for (size_t i = 0; i < chunks.size(); ++i) {
      if (i > 0) new_line(indent);
      add(chunks[i]);
    }
    if (level == 1) add(")");
  }

  void cut_line(std::string_view line, int64_t width, int64_t allowance, std::vector<std::string>& chunks) {
    const std::string whole = quoted(line);
    if (width_of(whole) <= width - allowance) return chunks.push_back(whole);
    std::string current, shown;
    for (size_t start = 0; start < line.size();) {
      const size_t end = word_end(line, start);
      const std::string_view part = line.substr(start, end - start);
      start = end;
      if (start == line.size()) width -= allowance;
      std::string candidate = quoted(current + std::string(part));
      if (width_of(candidate) > width) {
        if (!current.empty()) chunks.push_back(shown);
        current = part;
        shown = quoted(part);
      } else {
        current += part;
        shown = std::move(candidate);
      }
    }
    if (!current.empty()) chunks.push_back(shown);
  }

  /// Behind a word and the white space after it.
  static size_t word_end(std::string_view line, size_t at) {
    bool blank = false;
    while (at < line.size()) {
      size_t next = at;
      const bool space = is_space(next_character(line, next));
      if (blank && !space) break;
      blank = space;
      at = next;
    }
    return at;
  }

  std::string quoted(std::string_view text) { return repr_of(runtime_, Value(text)); }
};

Value filter_pprint(Runtime& rt, const Value& x, const CallArguments& a) {
  Parameters("pprint", a, {});
  PrettyWriter writer(rt);
  writer.write(x, 0, 0, 0);
  return Value(std::move(writer.out));
}

}  // namespace

const FilterTable& pretty_filters() {
  static const FilterTable table = {{"pprint", filter_pprint}};
  return table;
}

}  // namespace ingrain::jinja
