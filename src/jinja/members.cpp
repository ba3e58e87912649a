// Members, elements, slices and iteration of values.
#include "jinja/runtime.h"
#include "jinja/text.h"

#include <algorithm>

namespace ingrain::jinja {
namespace {

/// Python's index: negative ones count from the end. Nothing if out of range.
std::optional<size_t> position(int64_t index, size_t size) {
  const auto count = static_cast<int64_t>(size);
  if (index < 0) index += count;
  if (index < 0 || index >= count) return std::nullopt;
  return static_cast<size_t>(index);
}

std::optional<Value> plain_element(Runtime& runtime, const Value& subject, const Value& key) {
  if (const Dict* dict = subject.as_dict()) {
    if ((key.as_list() && !key.as_list()->tuple) || key.as_dict()) return std::nullopt;
    runtime.charge_key(key);
    const Value* found = dict->find(key);
    return found ? std::optional(*found) : std::nullopt;
  }
  const auto index = integer_of(key);
  if (!index) return std::nullopt;
  if (const List* list = subject.as_list()) {
    const auto at = position(*index, list->items.size());
    return at ? std::optional(list->items[*at]) : std::nullopt;
  }
  if (const std::string* text = subject.as_text()) {
    runtime.charge(text->size());
    const auto characters = split_characters(*text);
    const auto at = position(*index, characters.size());
    return at ? std::optional(Value(characters[*at])) : std::nullopt;
  }
  return std::nullopt;
}

std::optional<Value> plain_member(const Value& subject, const std::string& name) {
  if (const auto space = subject.as_namespace()) {
    const auto found = space->values.find(name);
    return found == space->values.end() ? std::nullopt : std::optional(found->second);
  }
  if (has_method(subject, name)) return Value(std::make_shared<const Callable>(Callable{name, subject, nullptr}));
  return std::nullopt;
}

Value missing(const Value& subject, const std::string& name) {
  return Value::undefined(fmt::format("a value of type {} has no member '{}'", type_name(subject), name));
}

/// The positions that [start:stop:step] selects among `size`.
std::vector<size_t> slice_positions(size_t size, const Value& start, const Value& stop, const Value& step) {
  const auto part = [](const Value& value) -> std::optional<int64_t> {
    if (value.is_none()) return std::nullopt;
    const auto number = integer_of(value);
    require(number.has_value(), "a slice's bounds must be integers, not {}", type_name(value));
    return number;
  };
  const auto count = static_cast<int64_t>(size);
  const int64_t stride = std::clamp(part(step).value_or(1), -count - 1, count + 1);
  require(stride != 0, "a slice's step is zero");
  const int64_t lowest = stride > 0 ? 0 : -1, highest = stride > 0 ? count : count - 1;
  const auto bound = [&](std::optional<int64_t> value, int64_t otherwise) {
    if (!value) return otherwise;
    return std::clamp(*value < 0 ? std::max(*value, -count - 1) + count : *value, lowest, highest);
  };
  const int64_t first = bound(part(start), stride > 0 ? lowest : highest);
  const int64_t last = bound(part(stop), stride > 0 ? highest : lowest);
  std::vector<size_t> out;
  for (int64_t i = first; stride > 0 ? i < last : i > last; i += stride) out.push_back(static_cast<size_t>(i));
  return out;
}

}  // namespace

Value member(Runtime& runtime, const Value& subject, const std::string& name) {
  refuse_undefined(subject);
  if (auto found = plain_member(subject, name)) return *std::move(found);
  if (auto found = plain_element(runtime, subject, name)) return *std::move(found);
  return missing(subject, name);
}

Value element(Runtime& runtime, const Value& subject, const Value& key) {
  refuse_undefined(subject);
  if (auto found = plain_element(runtime, subject, key)) return *std::move(found);
  if (const std::string* name = key.as_text()) {
    if (auto found = plain_member(subject, *name)) return *std::move(found);
    return missing(subject, *name);
  }
  return Value::undefined(fmt::format("a value of type {} has no such element", type_name(subject)));
}

Value slice(Runtime& runtime, const Value& subject, const Value& start, const Value& stop, const Value& step) {
  refuse_undefined(subject);
  if (const List* list = subject.as_list()) {
    runtime.charge(list->items.size() * sizeof(Value));
    std::vector<Value> items;
    for (const size_t i : slice_positions(list->items.size(), start, stop, step)) items.push_back(list->items[i]);
    return Value::list(std::move(items), list->tuple);
  }
  const std::string* text = subject.as_text();
  require(text != nullptr, "a value of type {} has no slices", type_name(subject));
  runtime.charge(text->size());
  const auto characters = split_characters(*text);
  std::string out;
  for (const size_t i : slice_positions(characters.size(), start, stop, step)) out += characters[i];
  return Value(std::move(out));
}

std::vector<Value> iterate(Runtime& runtime, const Value& value) {
  std::vector<Value> out;
  if (value.is_undefined()) return out;
  if (const List* list = value.as_list()) {
    runtime.charge(list->items.size() * sizeof(Value));
    return list->items;
  }
  if (const Dict* dict = value.as_dict()) {
    runtime.charge(dict->items.size() * sizeof(Value));
    for (const auto& [key, item] : dict->items) out.push_back(key);
    return out;
  }
  const std::string* text = value.as_text();
  require(text != nullptr, "a value of type {} cannot be iterated", type_name(value));
  runtime.charge(text->size() * 64);
  for (const std::string_view character : split_characters(*text)) out.emplace_back(character);
  return out;
}

int64_t length(Runtime& runtime, const Value& value) {
  if (value.is_undefined()) return 0;
  if (const List* list = value.as_list()) return static_cast<int64_t>(list->items.size());
  if (const Dict* dict = value.as_dict()) return static_cast<int64_t>(dict->items.size());
  const std::string* text = value.as_text();
  require(text != nullptr, "a value of type {} has no length", type_name(value));
  runtime.charge(text->size());
  return static_cast<int64_t>(count_characters(*text));
}

Value attribute_path(Runtime& runtime, const Value& subject, const Value& path) {
  if (!path.as_text()) return element(runtime, subject, path);
  Value out = subject;
  runtime.charge(path.as_text()->size() * sizeof(std::string_view));
  for (const std::string_view part : split(*path.as_text(), ".", -1)) {
    const bool digits = !part.empty() && part.size() < 10 && part.find_first_not_of("0123456789") == part.npos;
    out = element(runtime, out, digits ? Value(static_cast<int64_t>(std::stoll(std::string(part)))) : Value(part));
  }
  return out;
}

}  // namespace ingrain::jinja
