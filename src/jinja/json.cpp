// The tojson filter: JSON as Python's json.dumps writes it.
#include "jinja/runtime.h"
#include "jinja/text.h"

#include <algorithm>
#include <cmath>

namespace ingrain::jinja {
namespace {

/// Writes JSON as Python's json.dumps does.
class JsonWriter {
 public:
  JsonWriter(Runtime& runtime, const CallArguments& arguments)
      : runtime_(runtime), p_("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"}) {
    ascii_ = p_.flag(0, false);
    sorted_ = p_.flag(3, false);
    if (!p_[2] || p_[2]->is_none()) return;
    refuse_undefined(*p_[2]);
    separators_ = iterate(runtime, *p_[2]);
    require(separators_.size() == 2, "tojson: separators must be two strings");
  }

  void write(const Value& value, int depth) {
    runtime_.charge(16);
    if (const std::string* text = value.as_text()) return write_text(*text);
    if (depth == 0 && !layout_known_) read_layout();
    if (value.as_generator()) return write(Value::list(iterate(runtime_, value)), depth);  // Python refuses; see docs
    if (value.as_list() || value.as_dict()) return write_container(value, depth);
    require(value.is_none() || value.is_number(), "tojson: a value of type {} has no JSON form", type_name(value));
    out += scalar(value);
  }

  std::string out;

 private:
  Runtime& runtime_;
  Parameters p_;
  std::optional<std::string> indent_;
  std::optional<std::string> comma_ = ", ", colon_ = ": ";  // nothing: what is no text was given
  std::vector<Value> separators_;
  bool ascii_ = false, sorted_ = false, layout_known_ = false;

  /// What lists and objects are laid out by. Python does not look at it for a text alone.
  void read_layout() {
    layout_known_ = true;
    if (p_[1] && !p_[1]->is_none()) {
      const bool text = p_[1]->as_text() != nullptr;
      require(text || (is_integer(*p_[1]) && p_.integer(1, 0) <= 1000),
              "tojson: indent must be a small integer or a string");
      indent_ =
          text ? *p_[1]->as_text() : std::string(static_cast<size_t>(std::max<int64_t>(p_.integer(1, 0), 0)), ' ');
      comma_ = ",";  // no blank before a line break
    }
    if (separators_.empty()) return;
    comma_ = text_or_nothing(separators_[0]);
    colon_ = text_or_nothing(separators_[1]);
    if (!indent_) needed(comma_), needed(colon_);  // else Python looks at each where it writes it
  }

  static std::optional<std::string> text_or_nothing(const Value& value) {
    return value.as_text() ? std::optional(*value.as_text()) : std::nullopt;
  }

  static const std::string& needed(const std::optional<std::string>& separator) {
    require(separator.has_value(), "tojson: separators must be two strings");
    return *separator;
  }

  static std::string scalar(const Value& value) {
    if (value.is_none()) return "null";
    if (const bool* b = value.as_bool()) return *b ? "true" : "false";
    if (is_integer(value)) return digits_of(value);
    const double number = *value.as_double();
    if (std::isnan(number)) return "NaN";
    if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
    return float_text(number);
  }

  void write_text(std::string_view text) {
    runtime_.charge(text.size());
    out += '"';
    for (size_t at = 0; at < text.size();) {
      const char32_t c = next_character(text, at);
      switch (c) {
        case '"': out += "\\\""; break;
        case '\\': out += "\\\\"; break;
        case '\n': out += "\\n"; break;
        case '\r': out += "\\r"; break;
        case '\t': out += "\\t"; break;
        case '\f': out += "\\f"; break;
        case '\b': out += "\\b"; break;
        default: write_character(c);
      }
    }
    out += '"';
  }

  void write_character(char32_t c) {
    if (c >= 0x20 && (!ascii_ || c < 0x7F)) return append_character(out, c);
    if (c < 0x10000) {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
    } else {
      const uint32_t rest = static_cast<uint32_t>(c) - 0x10000;
      out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
    }
  }

  void new_line(int depth) {
    if (!indent_) return;
    runtime_.charge(indent_->size() * static_cast<size_t>(depth));
    out += '\n';
    for (int i = 0; i < depth; ++i) out += *indent_;
  }

  void write_container(const Value& value, int depth) {
    const List* list = value.as_list();
    const Dict* dict = value.as_dict();
    const size_t size = list ? list->items.size() : dict->items.size();
    out += list ? '[' : '{';
    std::vector<size_t> order(size);
    for (size_t i = 0; i < size; ++i) order[i] = i;
    if (dict && sorted_)
      std::stable_sort(order.begin(), order.end(),
                       [&](size_t a, size_t b) { return less(runtime_, dict->items[a].first, dict->items[b].first); });
    for (size_t i = 0; i < size; ++i) {
      if (i > 0 || indent_) needed(comma_);
      if (i > 0) out += *comma_;
      new_line(depth + 1);
      if (dict) write_key(dict->items[order[i]].first);
      write(list ? list->items[i] : dict->items[order[i]].second, depth + 1);
    }
    if (size > 0) new_line(depth);
    out += list ? ']' : '}';
  }

  void write_key(const Value& key) {
    require(key.as_text() || key.is_number() || key.is_none(),
            "tojson: keys must be str, int, float, bool or None, not {}", type_name(key));
    write_text(key.as_text() ? *key.as_text() : scalar(key));
    out += needed(colon_);
  }
};

}  // namespace

std::string to_json(Runtime& runtime, const CallArguments& arguments, const Value& value) {
  JsonWriter writer(runtime, arguments);
  writer.write(value, 0);
  return std::move(writer.out);
}

}  // namespace ingrain::jinja
