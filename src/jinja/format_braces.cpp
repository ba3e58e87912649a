// Python's format.format(...), with members and elements looked up as templates look them up.
#include "base/text.h"
#include "jinja/format_spec.h"
#include "jinja/text.h"

namespace ingrain::jinja {
namespace {

class BraceFormatter {
 public:
  BraceFormatter(Runtime& runtime, const CallArguments& arguments, bool safe)
      : runtime_(runtime), arguments_(arguments), safe_(safe) {}

  std::string run(std::string_view format, int depth = 2) {
    require(depth >= 0, "format: fields nest too deeply");
    runtime_.charge(format.size());
    std::string out;
    for (size_t i = 0; i < format.size(); ++i) {
      const char c = format[i];
      if (c != '{' && c != '}') {
        out += c;
      } else if (i + 1 < format.size() && format[i + 1] == c) {
        out += c;
        ++i;
      } else {
        require(c == '{', "format: a single '}}' in the format string");
        out += field(format, ++i, depth);
      }
    }
    return out;
  }

 private:
  Runtime& runtime_;
  const CallArguments& arguments_;
  const bool safe_;
  size_t next_ = 0;
  bool numbered_ = false;

  /// The field that starts at `at`; leaves it at the closing brace.
  std::string field(std::string_view format, size_t& at, int depth) {
    const auto here = [&] {
      require(at < format.size(), "format: a '{{' is not closed");
      return format[at];
    };
    const size_t start = at;
    bool bracket = false;
    while (bracket || (here() != '}' && here() != ':' && here() != '!')) {
      if (here() == '[') bracket = true;
      if (here() == ']') bracket = false;
      require(bracket || here() != '{', "format: an unexpected '{{' in a field's name");
      ++at;
    }
    const std::string_view name = format.substr(start, at - start);
    char conversion = 0;
    if (here() == '!') {
      ++at;
      conversion = here();
      ++at;
      require(here() == ':' || here() == '}', "format: ':' is missing after a conversion");
    }
    std::string_view spec;
    if (here() == ':') {
      const size_t spec_start = ++at;
      for (int nested = 0; here() != '}' || nested > 0; ++at) nested += here() == '{' ? 1 : here() == '}' ? -1 : 0;
      spec = format.substr(spec_start, at - spec_start);
    }
    const Value value = converted(look_up(name), conversion);
    return shown(value, run(spec, depth - 1));
  }

  Value converted(const Value& value, char conversion) {
    if (conversion == 0) return value;
    if (conversion == 's') return Value(text_of(runtime_, value));
    if (conversion == 'r') return Value(repr_of(runtime_, value));
    require(conversion == 'a', "format: '!{}' is no conversion", printable(std::string_view(&conversion, 1)));
    return Value(ascii_of(runtime_, value));
  }

  std::string shown(const Value& value, const std::string& spec) {
    if (!safe_) return format_value(runtime_, value, spec);
    require(!value.is_safe() || spec.empty(), "format: a safe text takes no format specification");
    if (value.is_safe()) return *value.as_text();
    return escape(format_value(runtime_, value, spec));
  }

  static bool digits(std::string_view text) {
    return !text.empty() && text.size() < 10 && text.find_first_not_of("0123456789") == text.npos;
  }

  Value argument(std::string_view name) {
    if (digits(name)) {
      const size_t at = std::stoul(std::string(name));
      require(at < arguments_.positional.size(), "format: no argument {}", at);
      return arguments_.positional[at];
    }
    const Value* named = arguments_.find(name);
    require(named != nullptr, "format: no argument '{}'", printable(name));
    return *named;
  }

  Value look_up(std::string_view name) {
    std::string counted;
    if (name.empty()) {
      require(!numbered_, "format: '{{}}' and '{{0}}' cannot be mixed");
      counted = std::to_string(next_++);
      name = counted;
    } else if (digits(name)) {
      require(next_ == 0, "format: '{{}}' and '{{0}}' cannot be mixed");
      numbered_ = true;
    }
    size_t at = std::min(name.find_first_of(".["), name.size());
    Value value = argument(name.substr(0, at));
    while (at < name.size()) {
      runtime_.charge(64);
      const bool element_of = name[at] == '[';
      const size_t end = element_of ? name.find(']', at) : std::min(name.find_first_of(".[", at + 1), name.size());
      require(end != name.npos && end > at + 1, "format: an empty or open part in a field's name");
      const std::string part(name.substr(at + 1, end - at - 1));
      value = element_of ? element(runtime_, value, digits(part) ? Value(int64_t{std::stol(part)}) : Value(part))
                         : member(runtime_, value, part);
      at = element_of ? end + 1 : end;
      require(at >= name.size() || name[at] == '.' || name[at] == '[', "format: only '.' or '[' may follow ']'");
    }
    return value;
  }
};

}  // namespace

Value format_braces(Runtime& runtime, const Value& format, const CallArguments& arguments) {
  return Value(BraceFormatter(runtime, arguments, format.is_safe()).run(*format.as_text()), format.is_safe());
}

}  // namespace ingrain::jinja
