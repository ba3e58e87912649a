// Python's format % values.
#include "base/text.h"
#include "jinja/format_spec.h"
#include "jinja/text.h"

#include <cmath>

namespace ingrain::jinja {
namespace {

class PercentFormatter {
 public:
  PercentFormatter(Runtime& runtime, const Value& format, const Value& values)
      : runtime_(runtime), format_(*format.as_text()), safe_(format.is_safe()), values_(values) {
    const List* list = values.as_list();
    tuple_ = list && list->is_tuple() ? list : nullptr;
    // Whatever has elements is a mapping to Python, and no mapping has too many values.
    mapping_ =
        !tuple_ && !values.as_text() && (values.as_dict() || values.is_undefined() || (list && !list->is_view()));
    single_ = values;
  }

  std::string run() {
    runtime_.charge(format_.size());
    while (at_ < format_.size()) {
      const size_t percent = std::min(format_.find('%', at_), format_.size());
      out_ += format_.substr(at_, percent - at_);
      at_ = percent + 1;
      if (percent < format_.size()) conversion();
    }
    require(mapping_ || (tuple_ ? used_ >= tuple_->items.size() : used_ > 0),
            "not all arguments of a format string are used");
    return std::move(out_);
  }

 private:
  Runtime& runtime_;
  const std::string_view format_;
  const bool safe_;
  const Value& values_;
  const List* tuple_ = nullptr;
  bool mapping_ = false;
  Value single_;
  size_t used_ = 0, at_ = 0;
  std::string out_;

  char take() {
    require(at_ < format_.size(), "a format string ends within a conversion");
    return format_[at_++];
  }

  const Value& next_value() {
    if (tuple_) {
      require(used_ < tuple_->items.size(), "not enough arguments for a format string");
      return tuple_->items[used_++];
    }
    require(used_++ == 0, "not enough arguments for a format string");
    return single_;
  }

  void read_key() {
    size_t depth = 1;
    const size_t start = at_;
    while (depth > 0) {
      const char c = take();
      if (c == '(') ++depth;
      if (c == ')') --depth;
    }
    require(mapping_, "a format string needs a mapping");
    const Value key(format_.substr(start, at_ - 1 - start));
    const Dict* dict = values_.as_dict();
    if (!dict) refuse_undefined(values_);
    const Value* found = dict ? dict->find(key) : nullptr;
    require(found != nullptr, "a format string's key '{}' is missing", printable(*key.as_text()));
    single_ = *found;
    tuple_ = nullptr;
    used_ = 0;
  }

  int64_t read_size(bool& left) {
    if (at_ < format_.size() && format_[at_] == '*') {
      ++at_;
      const Value& value = next_value();
      require(is_integer(value), "'*' in a format string needs an integer");
      const auto number = integer_of(value);
      constexpr int64_t kBound = int64_t{1} << 31;
      require(number && *number < kBound && *number > -kBound, "a format's width is too large");
      left = left || *number < 0;
      return std::abs(*number);
    }
    int64_t out = -1;
    while (at_ < format_.size() && format_[at_] >= '0' && format_[at_] <= '9') {
      out = std::max<int64_t>(out, 0) * 10 + (format_[at_++] - '0');
      require(out < (int64_t{1} << 31), "a format's width is too large");
    }
    return out;
  }

  void conversion() {
    if (at_ < format_.size() && format_[at_] == '(') ++at_, read_key();
    FormatSpec spec;
    bool left = false, zero = false;
    for (bool flag = true; flag;) {
      const char c = take();
      if (c == '-')
        left = true;
      else if (c == '+')
        spec.sign = '+';
      else if (c == ' ')
        spec.sign = spec.sign == '+' ? '+' : ' ';
      else if (c == '#')
        spec.alternate = true;
      else if (c == '0')
        zero = true;
      else
        flag = false, --at_;
    }
    spec.width = read_size(left);
    if (at_ < format_.size() && format_[at_] == '.') {
      ++at_;
      bool negative = false;
      const bool star = at_ < format_.size() && format_[at_] == '*';
      spec.precision = std::max<int64_t>(read_size(negative), 0);
      if (star && negative) spec.precision = 0;
    }
    spec.type = take();
    if (spec.type == 'h' || spec.type == 'l' || spec.type == 'L') spec.type = take();
    if (spec.type == '%') {
      out_ += '%';
      return;
    }
    spec.align = left ? '<' : zero ? '=' : '>';
    if (zero && !left) spec.fill = "0";
    out_ += converted(spec);
  }

  std::string text_for(const Value& value, char type) {
    std::string out = type == 's'            ? text_of(runtime_, value)
                      : type == 'r' || safe_ ? repr_of(runtime_, value)
                                             : ascii_of(runtime_, value);
    if (!safe_ || (type == 's' && value.is_safe())) return out;
    out = escape(out);
    runtime_.charge(out.size());
    return type == 'a' ? ascii_only(out) : out;
  }

  std::string ascii_only(const std::string& text) const {
    std::string out;
    for (size_t at = 0; at < text.size();) {
      const auto c = static_cast<uint32_t>(next_character(text, at));
      out += c < 0x80      ? std::string(1, static_cast<char>(c))
             : c < 0x100   ? fmt::format("\\x{:02x}", c)
             : c < 0x10000 ? fmt::format("\\u{:04x}", c)
                           : fmt::format("\\U{:08x}", c);
    }
    return out;
  }

  std::string converted(FormatSpec spec) {
    const char type = spec.type;
    require(std::string_view("srcdiuxXoeEfFgGa").find(type) != std::string_view::npos,
            "'{}' is no conversion of a format string", printable(std::string_view(&type, 1)));
    const Value& value = next_value();
    if (type == 's' || type == 'r' || type == 'a') {
      spec.fill = " ";
      if (spec.align == '=') spec.align = '>';
      return format_text(runtime_, text_for(value, type), spec);
    }
    if (type == 'c') {
      require(!safe_, "'%c' in a safe format string");
      spec.fill = " ";
      if (spec.align == '=') spec.align = '>';
      spec.precision = -1;
      const std::string* text = value.as_text();
      require(text ? count_characters(*text) == 1 : is_integer(value), "'%c' needs a number or a character, not {}",
              type_name(value));
      return format_text(runtime_, text ? *text : character_text(value), spec);
    }
    if (std::string_view("eEfFgG").find(type) != std::string_view::npos)
      return format_float(runtime_, float_for(value), spec);
    return integer_text(integer_for(value, type), spec);
  }

  double float_for(const Value& value) {
    const std::string* text = value.as_text();
    const auto number = text && safe_ ? parse_float(*text) : number_of(value);
    refuse_undefined(value);
    require(number && (value.as_double() || text || std::isfinite(*number)),
            "a conversion to float needs a number, not {}", type_name(value));
    return *number;
  }

  Value integer_for(const Value& value, char type) {
    const bool decimal = type == 'd' || type == 'i' || type == 'u';
    refuse_undefined(value);
    require(decimal || (is_integer(value) && !safe_), "'%{}' needs an integer, not {}", type, type_name(value));
    if (is_integer(value)) return value;
    if (const std::string* text = value.as_text(); text && safe_)
      if (auto number = parse_integer(*text, 10)) return *std::move(number);
    const double* number = value.as_double();
    require(number && std::isfinite(*number), "'%{}' needs a number, not {}", type, type_name(value));
    return Value::integer(fmt::format("{:.0f}", std::trunc(*number)));
  }

  /// The precision is the least number of digits.
  std::string integer_text(const Value& value, FormatSpec spec) {
    const int64_t least = spec.precision;
    require(least <= 1000, "a precision of more than 1000");
    spec.precision = -1;
    if (spec.type == 'i' || spec.type == 'u') spec.type = 'd';
    if (spec.type == 'd') spec.alternate = false;
    FormatSpec bare;
    bare.type = spec.type;
    std::string digits = format_integer(runtime_, value, bare);
    const bool negative = digits[0] == '-';
    digits.erase(0, negative);
    if (static_cast<int64_t>(digits.size()) < least) digits.insert(0, static_cast<size_t>(least) - digits.size(), '0');
    std::string prefix = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
    if (spec.alternate) prefix += std::string("0") + spec.type;
    FormatSpec padding;
    padding.width = spec.width;
    padding.align = spec.align;
    if (spec.align != '=') return format_text(runtime_, prefix + digits, padding);
    padding.fill = "0";
    padding.align = '>';
    padding.width -= static_cast<int64_t>(prefix.size());
    return prefix + format_text(runtime_, digits, padding);
  }
};

}  // namespace

Value format_percent(Runtime& runtime, const Value& format, const Value& values) {
  return Value(PercentFormatter(runtime, format, values).run(), format.is_safe());
}

}  // namespace ingrain::jinja
