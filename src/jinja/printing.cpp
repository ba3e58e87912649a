// Values as text: str(), repr(), JSON, and the two kinds of format strings.
#include "jinja/runtime.h"
#include "jinja/text.h"

#include <algorithm>
#include <cmath>

namespace ingrain::jinja {
namespace {

/// Whether Python's repr() shows the character itself: spaces other than ' ' and invisible ones are escaped.
bool shows_itself(char32_t c) {
  if (c < 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0xAD) return false;
  if (c != ' ' && is_space(c)) return false;
  const bool invisible = (c >= 0x200B && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) ||
                         c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFB);
  const bool unassigned = (c >= 0xD800 && c <= 0xF8FF) || (c & 0xFFFE) == 0xFFFE || c >= 0xE0000;
  return !invisible && !unassigned;
}

std::string quoted_text(std::string_view text) {
  const bool double_quotes = text.find('\'') != text.npos && text.find('"') == text.npos;
  const char quote = double_quotes ? '"' : '\'';
  std::string out(1, quote);
  for (size_t at = 0; at < text.size();) {
    const char32_t c = next_character(text, at);
    if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\t')
      out += "\\t";
    else if (c == '\\' || c == static_cast<char32_t>(quote))
      out += '\\', out += static_cast<char>(c);
    else if (shows_itself(c))
      append_character(out, c);
    else if (c < 0x100)
      out += fmt::format("\\x{:02x}", static_cast<uint32_t>(c));
    else if (c < 0x10000)
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
    else
      out += fmt::format("\\U{:08x}", static_cast<uint32_t>(c));
  }
  return out + quote;
}

void append_repr(Runtime& runtime, std::string& out, const Value& value) {
  runtime.charge(16);
  if (const std::string* text = value.as_text()) {
    runtime.charge(text->size());
    out += quoted_text(*text);
  } else if (const List* list = value.as_list()) {
    out += list->tuple ? '(' : '[';
    for (size_t i = 0; i < list->items.size(); ++i) {
      if (i > 0) out += ", ";
      append_repr(runtime, out, list->items[i]);
    }
    if (list->tuple && list->items.size() == 1) out += ',';
    out += list->tuple ? ')' : ']';
  } else if (const Dict* dict = value.as_dict()) {
    out += '{';
    for (size_t i = 0; i < dict->items.size(); ++i) {
      if (i > 0) out += ", ";
      append_repr(runtime, out, dict->items[i].first);
      out += ": ";
      append_repr(runtime, out, dict->items[i].second);
    }
    out += '}';
  } else if (value.is_undefined()) {
    out += "Undefined";
  } else {
    out += text_of(runtime, value);
  }
}

/// Writes JSON as Python's json.dumps does.
class JsonWriter {
 public:
  JsonWriter(Runtime& runtime, const CallArguments& arguments)
      : runtime_(runtime), p_("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"}) {
    if (p_[1] && !p_[1]->is_none()) {
      const auto spaces = integer_of(*p_[1]);
      require(p_[1]->as_text() || (spaces && *spaces <= 1000), "tojson: indent must be a small integer or a string");
      indent_ =
          p_[1]->as_text() ? *p_[1]->as_text() : std::string(static_cast<size_t>(std::max<int64_t>(*spaces, 0)), ' ');
      comma_.pop_back();  // no blank before a line break
    }
    if (p_[2] && !p_[2]->is_none()) {
      const List* pair = p_[2]->as_list();
      require(pair && pair->items.size() == 2 && pair->items[0].as_text() && pair->items[1].as_text(),
              "tojson: separators must be two strings");
      comma_ = *pair->items[0].as_text();
      colon_ = *pair->items[1].as_text();
    }
    ascii_ = p_.flag(0, false);
    sorted_ = p_.flag(3, false);
  }

  void write(const Value& value, int depth) {
    runtime_.charge(16);
    if (const std::string* text = value.as_text()) return write_text(*text);
    if (value.as_list() || value.as_dict()) return write_container(value, depth);
    require(!value.is_undefined() && !value.as_namespace() && !value.as_callable(),
            "tojson: a value of type {} has no JSON form", type_name(value));
    out += scalar(value);
  }

  std::string out;

 private:
  Runtime& runtime_;
  Parameters p_;
  std::optional<std::string> indent_;
  std::string comma_ = ", ", colon_ = ": ";
  bool ascii_ = false, sorted_ = false;

  static std::string scalar(const Value& value) {
    if (value.is_none()) return "null";
    if (const bool* b = value.as_bool()) return *b ? "true" : "false";
    if (const int64_t* i = value.as_integer()) return std::to_string(*i);
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
    if (c >= 0x20 && (!ascii_ || c < 0x7F || c == 0x7F)) return append_character(out, c);
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
      if (i > 0) out += comma_;
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
    out += colon_;
  }
};

}  // namespace

std::string text_of(Runtime& runtime, const Value& value) {
  if (const std::string* text = value.as_text()) return runtime.charge(text->size()), *text;
  if (value.is_undefined()) return "";
  if (value.is_none()) return "None";
  if (const bool* b = value.as_bool()) return *b ? "True" : "False";
  if (const int64_t* i = value.as_integer()) return std::to_string(*i);
  if (const double* d = value.as_double()) return float_text(*d);
  require(!value.as_namespace() && !value.as_callable(), "a value of type {} cannot be printed", type_name(value));
  std::string out;
  append_repr(runtime, out, value);
  return out;
}

std::string to_json(Runtime& runtime, const CallArguments& arguments, const Value& value) {
  JsonWriter writer(runtime, arguments);
  writer.write(value, 0);
  return std::move(writer.out);
}

std::string format_percent(Runtime& runtime, std::string_view format, const std::vector<Value>& arguments) {
  runtime.charge(format.size());
  std::string out;
  size_t used = 0;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      out += format[i];
      continue;
    }
    const char kind = i + 1 < format.size() ? format[++i] : '\0';
    if (kind == '%') {
      out += '%';
      continue;
    }
    require(kind == 's' || kind == 'd' || kind == 'i' || kind == 'r',
            "the format '%{}' is not supported; %s, %r, %d, %i and %% are", kind);
    require(used < arguments.size(), "not enough arguments for a format string");
    const Value& argument = arguments[used++];
    if (kind == 's') {
      out += text_of(runtime, argument);
    } else if (kind == 'r') {
      append_repr(runtime, out, argument);
    } else {
      require(argument.is_number(), "'%{}' needs a number, not {}", kind, type_name(argument));
      const double* d = argument.as_double();
      require(!d || std::abs(*d) < 9e18, "'%{}' needs a 64-bit integer", kind);
      out += std::to_string(d ? static_cast<int64_t>(*d) : *integer_of(argument));
    }
  }
  require(used == arguments.size() || (arguments.size() == 1 && arguments[0].as_dict()),
          "not all arguments of a format string are used");
  return out;
}

std::string format_braces(Runtime& runtime, std::string_view format, const CallArguments& arguments) {
  runtime.charge(format.size());
  std::string out;
  size_t next = 0;
  bool counted = false, numbered = false;
  for (size_t i = 0; i < format.size(); ++i) {
    const char c = format[i];
    if (c != '{' && c != '}') {
      out += c;
      continue;
    }
    if (i + 1 < format.size() && format[i + 1] == c) {
      out += c;
      ++i;
      continue;
    }
    const size_t end = format.find('}', i);
    require(c == '{' && end != format.npos, "format: a single '{}' in the format string", c);
    const std::string_view field = format.substr(i + 1, end - i - 1);
    i = end;
    const bool digits = field.find_first_not_of("0123456789") == field.npos;
    if (digits) {
      require(field.size() < 6, "format: no argument {}", field);
      (field.empty() ? counted : numbered) = true;
      require(!counted || !numbered, "format: '{{}}' and '{{0}}' cannot be mixed");
      const size_t at = field.empty() ? next++ : static_cast<size_t>(std::stoul(std::string(field)));
      require(at < arguments.positional.size(), "format: no argument {}", at);
      out += text_of(runtime, arguments.positional[at]);
      continue;
    }
    const auto named = std::find_if(arguments.named.begin(), arguments.named.end(),
                                    [&](const auto& argument) { return argument.first == field; });
    require(named != arguments.named.end(),
            "format: no argument '{}' (format specifications after ':' are not supported)", field);
    out += text_of(runtime, named->second);
  }
  return out;
}

}  // namespace ingrain::jinja
