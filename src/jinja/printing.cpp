// Values as text: str() and repr().
#include "jinja/interpreter.h"
#include "jinja/loop.h"
#include "jinja/runtime.h"
#include "jinja/text.h"

#include <algorithm>

namespace ingrain::jinja {
namespace {

constexpr int kMaxDepth = 200;  // of namespaces that hold each other; lists and dictionaries are bounded anyway

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
    else if (is_printable(c))
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

/// Writes repr(), with "{...}" where a namespace holds itself.
class ReprWriter {
 public:
  explicit ReprWriter(Runtime& runtime) : runtime_(runtime) {}

  void write(const Value& value) {
    runtime_.charge(16);
    require(++depth_ <= kMaxDepth, "namespaces nest deeper than {}", kMaxDepth);
    if (const std::string* text = value.as_text()) {
      runtime_.charge(text->size());
      out += value.is_safe() ? "Markup(" + quoted_text(*text) + ")" : quoted_text(*text);
    } else if (const List* list = value.as_list()) {
      write_list(*list);
    } else if (const Dict* dict = value.as_dict()) {
      write_dict(*dict);
    } else if (value.is_undefined()) {
      out += "Undefined";
    } else if (const auto space = value.as_namespace(); space && space->kind == Namespace::Kind::Namespace) {
      write_namespace(space.get());
    } else if (space && space->kind == Namespace::Kind::Self) {
      out += "<TemplateReference None>";  // jinja2's name of a template without a file
    } else if (const auto loop = value.as_loop()) {
      out += fmt::format("<LoopContext {}/{}>", loop->index0 + 1, loop->length(runtime_));
    } else if (const Callable* callable = value.as_callable();
               callable && callable->macro && callable->macro->definition->kind != StmtKind::Block) {
      const bool named = callable->macro->definition->kind == StmtKind::Macro;
      out += named ? "<Macro " + quoted_text(callable->name) + ">" : "<Macro anonymous>";
    } else {
      out += text_of(runtime_, value);
    }
    --depth_;
  }

  std::string out;

 private:
  Runtime& runtime_;
  int depth_ = 0;
  std::vector<const Namespace*> open_;

  void write_items(const std::vector<Value>& items) {
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += ", ";
      write(items[i]);
    }
  }

  void write_list(const List& list) {
    if (list.kind == List::Kind::Range) {
      out += fmt::format("range({}, {}", list.start, list.stop);
      out += list.step == 1 ? ")" : fmt::format(", {})", list.step);
      return;
    }
    if (list.kind == List::Kind::Set) return write_set(list);
    if (list.is_view()) out += fmt::format("{}(", type_name(list));
    out += list.is_tuple() ? '(' : '[';
    write_items(list.items);
    if (list.is_tuple() && list.items.size() == 1) out += ',';
    out += list.is_tuple() ? ')' : ']';
    if (list.is_view()) out += ')';
  }

  void write_set(const List& set) {
    if (set.items.empty()) return void(out += "set()");
    out += '{';
    write_items(set.items);
    out += '}';
  }

  static std::string_view type_name(const List& view) {
    return view.kind == List::Kind::Keys ? "dict_keys" : view.kind == List::Kind::Values ? "dict_values" : "dict_items";
  }

  void write_dict(const Dict& dict) {
    out += '{';
    for (size_t i = 0; i < dict.items.size(); ++i) {
      if (i > 0) out += ", ";
      write(dict.items[i].first);
      out += ": ";
      write(dict.items[i].second);
    }
    out += '}';
  }

  void write_namespace(const Namespace* space) {
    out += "<Namespace ";
    if (std::find(open_.begin(), open_.end(), space) != open_.end()) {
      out += "{...}";
    } else {
      open_.push_back(space);
      write_dict(space->values);
      open_.pop_back();
    }
    out += '>';
  }
};

}  // namespace

std::string text_of(Runtime& runtime, const Value& value) {
  if (const std::string* text = value.as_text()) return runtime.charge(text->size()), *text;
  if (value.is_undefined()) return "";
  if (value.is_none()) return "None";
  if (const bool* b = value.as_bool()) return *b ? "True" : "False";
  if (is_integer(value)) return digits_of(value);
  if (const double* d = value.as_double()) return float_text(*d);
  const auto space = value.as_namespace();
  const Callable* callable = value.as_callable();
  const bool has_text =
      value.as_list() || value.as_dict() || value.as_loop() ||
      (space && (space->kind == Namespace::Kind::Namespace || space->kind == Namespace::Kind::Self)) ||
      (callable && callable->macro && callable->macro->definition->kind != StmtKind::Block);
  require(has_text, "a value of type {} cannot be printed{}", type_name(value),
          value.as_generator() ? "; '| list' makes a list of it" : ": in jinja2 it shows an address in memory");
  return repr_of(runtime, value);
}

std::string repr_of(Runtime& runtime, const Value& value) {
  ReprWriter writer(runtime);
  writer.write(value);
  return std::move(writer.out);
}

Value soft_text(Runtime& runtime, const Value& value) {
  return value.as_text() ? value : Value(text_of(runtime, value));
}

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '\'': out += "&#39;"; break;
      case '"': out += "&#34;"; break;
      default: out += c;
    }
  }
  return out;
}

Value escaped(Runtime& runtime, const Value& value) {
  if (value.is_safe()) return value;
  std::string out = escape(text_of(runtime, value));
  runtime.charge(out.size());
  return Value(std::move(out), true);
}

}  // namespace ingrain::jinja
