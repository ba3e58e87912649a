// What can be gone through, at once or item by item.
#include "jinja/loop.h"
#include "jinja/runtime.h"
#include "jinja/text.h"

namespace ingrain::jinja {
namespace {

constexpr int64_t kMaxRange = 100000;  // Jinja's sandbox has the same

Generator::Next over_items(std::shared_ptr<const std::vector<Value>> items) {
  return [items = std::move(items), at = size_t{0}](Runtime&) mutable -> std::optional<Value> {
    return at < items->size() ? std::optional((*items)[at++]) : std::nullopt;
  };
}

/// The items of what is no list: keys, characters.
std::vector<Value> other_items(Runtime& runtime, const Value& value) {
  std::vector<Value> out;
  if (const Dict* dict = value.as_dict()) {
    runtime.charge(dict->items.size() * sizeof(Value));
    for (const auto& [key, item] : dict->items) out.push_back(key);
  } else if (const std::string* text = value.as_text()) {
    runtime.charge(text->size() * 16);
    for (const std::string_view character : split_characters(*text)) out.emplace_back(character);
  }
  return out;
}

}  // namespace

bool is_iterable(const Value& value) {
  return value.is_undefined() || value.as_list() || value.as_dict() || value.as_text() || value.as_generator() ||
         value.as_loop();
}

std::shared_ptr<Generator> iterator(Runtime& runtime, const Value& value) {
  if (auto generator = value.as_generator()) return generator;
  if (const auto loop = value.as_loop()) return loop->pairs(loop);
  require(is_iterable(value), "a value of type {} cannot be iterated", type_name(value));
  runtime.charge(128);
  auto out = std::make_shared<Generator>();
  out->depth = checked_depth(depth_of(value) + 1);
  if (value.as_list()) {
    out->next = [value, at = size_t{0}](Runtime& rt) mutable -> std::optional<Value> {
      rt.charge(8);
      const auto& items = value.as_list()->items;
      return at < items.size() ? std::optional(items[at++]) : std::nullopt;
    };
  } else if (const std::string* text = value.as_text()) {
    out->next = [held = value, text, at = size_t{0}](Runtime& rt) mutable -> std::optional<Value> {
      if (at >= text->size()) return std::nullopt;
      rt.charge(16);
      const size_t start = at;
      next_character(*text, at);
      return Value(std::string_view(*text).substr(start, at - start));
    };
  } else {
    out->next = over_items(std::make_shared<const std::vector<Value>>(other_items(runtime, value)));
  }
  return out;
}

std::vector<Value> iterate(Runtime& runtime, const Value& value) {
  if (const List* list = value.as_list()) {
    runtime.charge(list->items.size() * sizeof(Value));
    return list->items;
  }
  if (value.as_dict() || value.as_text() || value.is_undefined()) return other_items(runtime, value);
  std::vector<Value> out;
  const auto items = iterator(runtime, value);
  while (auto item = items->pull(runtime)) {
    runtime.charge(sizeof(Value));
    out.push_back(*std::move(item));
  }
  return out;
}

Value lazy(const Value& of, Generator::Next next) {
  auto out = std::make_shared<Generator>();
  out->next = std::move(next);
  out->depth = checked_depth(depth_of(of) + 1);
  return out;
}

std::optional<int64_t> length_of(Runtime& runtime, const Value& value) {
  if (value.is_undefined()) return 0;
  if (const List* list = value.as_list()) return static_cast<int64_t>(list->items.size());
  if (const Dict* dict = value.as_dict()) return static_cast<int64_t>(dict->items.size());
  if (const auto loop = value.as_loop()) return loop->length(runtime);
  if (const std::string* text = value.as_text()) {
    runtime.charge(text->size() / 8);
    return static_cast<int64_t>(count_characters(*text));
  }
  const auto generator = value.as_generator();
  if (!generator) return std::nullopt;
  // Python refuses; templates written for more lenient engines count what map and select give.
  while (auto item = generator->next(runtime)) {
    runtime.charge(sizeof(Value));
    generator->ahead.push_back(*std::move(item));
  }
  return static_cast<int64_t>(generator->ahead.size());
}

int64_t length(Runtime& runtime, const Value& value) {
  const auto out = length_of(runtime, value);
  require(out.has_value(), "a value of type {} has no length", type_name(value));
  return *out;
}

Value make_range(Runtime& runtime, int64_t start, int64_t stop, int64_t step) {
  require(step != 0, "range: the step is zero");
  List out;
  out.kind = List::Kind::Range;
  out.start = start, out.stop = stop, out.step = step;
  int64_t i = start;
  while (step > 0 ? i < stop : i > stop) {
    require(static_cast<int64_t>(out.items.size()) < kMaxRange, "range: more than {} numbers", kMaxRange);
    out.items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  runtime.charge(out.items.size() * sizeof(Value));
  return Value::list(std::move(out));
}

}  // namespace ingrain::jinja
