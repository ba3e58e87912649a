// Members, elements, slices and iteration of values.
#include "jinja/interpreter.h"
#include "jinja/loop.h"
#include "jinja/runtime.h"
#include "jinja/text.h"

#include "base/text.h"

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

/// Counted from the nearer end, so that a walk along a text pays for what it passes.
std::optional<Value> character_at(Runtime& runtime, const Value& subject, std::string_view text, int64_t index) {
  size_t at = 0;
  if (index < 0) {
    at = text.size();
    for (; index < 0; ++index) {
      if (at == 0) return std::nullopt;
      at = previous_character(text, at);
      runtime.charge(1);
    }
  } else {
    const bool fits = static_cast<uint64_t>(index) < text.size();
    const auto offset = fits ? byte_offset(text, static_cast<size_t>(index)) : std::nullopt;
    runtime.charge(1 + (offset ? *offset : text.size()) / 8);
    if (!offset || *offset >= text.size()) return std::nullopt;
    at = *offset;
  }
  size_t end = at;
  next_character(text, end);
  return Value(text.substr(at, end - at), subject.is_safe());
}

std::optional<Value> plain_element(Runtime& runtime, const Value& subject, const Value& key) {
  if (const Dict* dict = subject.as_dict()) {
    if ((key.as_list() && (key.as_list()->is_list() || key.as_list()->is_view())) || key.as_dict()) return std::nullopt;
    runtime.charge_key(key);
    const Value* found = dict->find(key);
    return found ? std::optional(*found) : std::nullopt;
  }
  const auto index = integer_of(key);
  if (!index) return std::nullopt;
  if (const List* list = subject.as_list(); list && !list->is_view()) {
    const auto at = position(*index, list->items.size());
    return at ? std::optional(list->items[*at]) : std::nullopt;
  }
  if (const std::string* text = subject.as_text()) {
    return character_at(runtime, subject, *text, *index);
  }
  return std::nullopt;
}

std::optional<Value> namespace_member(const Namespace& space, const std::string& name) {
  using Kind = Namespace::Kind;
  if (space.kind == Kind::Cycler && name == "current") {
    const auto& items = space.values.find("items")->as_list()->items;
    return items[static_cast<size_t>(*space.values.find("pos")->as_integer())];
  }
  const Value* found = space.values.find(name);
  return found ? std::optional(*found) : std::nullopt;
}

std::optional<Value> callable_member(const Callable& callable, std::string_view name) {
  const bool dict = !callable.macro && callable.self.is_undefined() && callable.name == "dict";
  if (dict && name == "fromkeys")
    return Value(std::make_shared<const Callable>(Callable{"dict.fromkeys", {}, nullptr}));
  if (!callable.macro || callable.macro->definition->kind == StmtKind::Block) return std::nullopt;
  const Stmt& macro = *callable.macro->definition;
  if (name == "name") return macro.kind == StmtKind::Macro ? Value(callable.name) : Value(None{});
  if (name == "catch_kwargs") return macro.catches_named;
  if (name == "catch_varargs") return macro.catches_positional;
  if (name == "caller") return macro.calls_caller;
  if (name != "arguments") return std::nullopt;
  std::vector<Value> names;
  for (const auto& parameter : macro.parameters) names.emplace_back(parameter.first);
  return Value::list(std::move(names), true);
}

/// start, stop and step of a range; real, imag, numerator and denominator of a number; a group's parts.
std::optional<Value> data_member(const Value& subject, std::string_view name) {
  const List* list = subject.as_list();
  if (list && list->kind == List::Kind::Range) {
    if (name == "start") return list->start;
    if (name == "stop") return list->stop;
    if (name == "step") return list->step;
  }
  if (list && list->kind == List::Kind::Group) {
    if (name == "grouper") return list->items[0];
    if (name == "list") return list->items[1];
  }
  if (name == "real" && subject.is_number()) return positive(subject);
  if (name == "imag" && subject.is_number()) return subject.as_double() ? Value(0.0) : Value(int64_t{0});
  if (name == "numerator" && is_integer(subject)) return positive(subject);
  if (name == "denominator" && is_integer(subject)) return int64_t{1};
  return std::nullopt;
}

std::optional<Value> plain_member(Runtime& runtime, const Value& subject, const std::string& name) {
  if (name.starts_with('_')) return std::nullopt;  // what Python keeps to itself
  if (const auto space = subject.as_namespace(); space && space->kind != Namespace::Kind::Self)
    if (auto found = namespace_member(*space, name)) return found;
  if (const auto loop = subject.as_loop()) return loop_member(runtime, loop, name);
  if (const Callable* callable = subject.as_callable()) return callable_member(*callable, name);
  if (auto found = data_member(subject, name)) return found;
  if (has_method(subject, name)) return Value(std::make_shared<const Callable>(Callable{name, subject, nullptr}));
  return std::nullopt;
}

Value missing(const Value& subject, const std::string& name) {
  const bool mapping = subject.as_list() && subject.as_list()->is_view() && name == "mapping";
  if (mapping || (subject.as_generator() && name != "mapping"))
    if (const auto refused = refused_name(name))
      return Value::undefined(fmt::format("the member {} (of a {})", *refused, type_name(subject)));
  return Value::undefined(fmt::format("a value of type {} has no member '{}'", type_name(subject), printable(name)));
}

std::optional<int64_t> slice_bound(const Value& value) {
  if (value.is_none()) return std::nullopt;
  require(is_integer(value), "a slice's bounds must be integers, not {}", type_name(value));
  if (const BigInteger* big = value.as_big())
    return big->digits->front() == '-' ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
  return integer_of(value);
}

/// First and last (exclusive) position and the stride of [start:stop:step] among `count`.
struct Stride {
  int64_t first, last, step;
};

Stride stride_of(size_t size, const Value& start, const Value& stop, const Value& step) {
  const auto count = static_cast<int64_t>(size);
  const int64_t stride = std::clamp(slice_bound(step).value_or(1), -count - 1, count + 1);
  require(stride != 0, "a slice's step is zero");
  const int64_t lowest = stride > 0 ? 0 : -1, highest = stride > 0 ? count : count - 1;
  const auto bound = [&](std::optional<int64_t> value, int64_t otherwise) {
    if (!value) return otherwise;
    return std::clamp(*value < 0 ? std::max(*value, -count - 1) + count : *value, lowest, highest);
  };
  return {bound(slice_bound(start), stride > 0 ? lowest : highest),
          bound(slice_bound(stop), stride > 0 ? highest : lowest), stride};
}

std::vector<size_t> slice_positions(size_t size, const Value& start, const Value& stop, const Value& step) {
  const Stride s = stride_of(size, start, stop, step);
  std::vector<size_t> out;
  for (int64_t i = s.first; s.step > 0 ? i < s.last : i > s.last; i += s.step) out.push_back(static_cast<size_t>(i));
  return out;
}

Value slice_of_range(const List& range, const Value& start, const Value& stop, const Value& step, List out) {
  const Stride s = stride_of(range.items.size(), start, stop, step);
  const int64_t real_step = slice_bound(step).value_or(1);
  require(!__builtin_mul_overflow(real_step, range.step, &out.step), "a range's step exceeds 64 bits");
  out.start = range.start + s.first * range.step;
  out.stop = range.start + s.last * range.step;
  return Value::list(std::move(out));
}

/// Forwards and one by one, as most are: [:n] and [n:] pass only what they skip and take.
Value slice_of_text(Runtime& runtime, const Value& subject, const std::string& text, const Value& start,
                    const Value& stop, const Value& step) {
  const auto from = slice_bound(start), to = slice_bound(stop);
  const bool forward = slice_bound(step).value_or(1) == 1;
  runtime.charge(text.size() / 8);
  if (forward && from.value_or(0) >= 0 && to.value_or(0) >= 0) {
    const auto offset = [&](std::optional<int64_t> bound) {
      const bool beyond = !bound || static_cast<uint64_t>(*bound) >= text.size();
      return beyond ? text.size() : byte_offset(text, static_cast<size_t>(*bound)).value_or(text.size());
    };
    const size_t first = from ? offset(from) : 0, last = offset(to);
    const std::string_view taken = std::string_view(text).substr(first, last > first ? last - first : 0);
    runtime.charge(taken.size());
    return Value(taken, subject.is_safe());
  }
  runtime.charge(text.size());
  const auto characters = split_characters(text);
  const Stride s = stride_of(characters.size(), start, stop, step);
  std::string out;
  for (int64_t i = s.first; s.step > 0 ? i < s.last : i > s.last; i += s.step)
    out += characters[static_cast<size_t>(i)];
  return Value(std::move(out), subject.is_safe());
}

}  // namespace

Value member(Runtime& runtime, const Value& subject, const std::string& name) {
  if (subject.is_undefined() && name == "__class__")
    return missing(subject, name);  // even this has one, kept from view
  refuse_undefined(subject);
  if (const auto space = subject.as_namespace(); space && space->kind == Namespace::Kind::Self) {
    const Value* block = space->values.find(name);
    return block ? *block : missing(subject, name);
  }
  if (auto found = plain_member(runtime, subject, name)) return *std::move(found);
  if (auto found = plain_element(runtime, subject, name)) return *std::move(found);
  return missing(subject, name);
}

Value element(Runtime& runtime, const Value& subject, const Value& key) {
  refuse_undefined(subject);
  if (auto found = plain_element(runtime, subject, key)) return *std::move(found);
  if (const std::string* name = key.as_text()) {
    if (auto found = plain_member(runtime, subject, *name)) return *std::move(found);
    return missing(subject, *name);
  }
  return Value::undefined(fmt::format("a value of type {} has no such element", type_name(subject)));
}

Value slice(Runtime& runtime, const Value& subject, const Value& start, const Value& stop, const Value& step) {
  refuse_undefined(subject);
  if (const List* list = subject.as_list(); list && !list->is_view()) {
    runtime.charge(list->items.size() * sizeof(Value));
    List out;
    out.kind = list->kind == List::Kind::Group ? List::Kind::Tuple : list->kind;
    for (const size_t i : slice_positions(list->items.size(), start, stop, step)) out.items.push_back(list->items[i]);
    if (list->kind == List::Kind::Range) return slice_of_range(*list, start, stop, step, std::move(out));
    return Value::list(std::move(out));
  }
  if (subject.as_generator())
    return slice(runtime, Value::list(iterate(runtime, subject)), start, stop, step);  // lenient
  const std::string* text = subject.as_text();
  require(text != nullptr, "a value of type {} has no slices", type_name(subject));
  return slice_of_text(runtime, subject, *text, start, stop, step);
}

Value attribute(Runtime& runtime, const Value& subject, const std::string& name) {
  refuse_undefined(subject);
  if (auto found = plain_member(runtime, subject, name)) return *std::move(found);
  return missing(subject, name);
}

Value attribute_path(Runtime& runtime, const Value& subject, const Value& path, const Value* otherwise) {
  const auto step = [&](const Value& from, const Value& key) {
    const Value found = element(runtime, from, key);
    return found.is_undefined() && otherwise && !otherwise->is_none() ? *otherwise : found;
  };
  if (path.is_none()) return subject;
  if (!path.as_text()) return step(subject, path);
  Value out = subject;
  runtime.charge(path.as_text()->size() * sizeof(std::string_view));
  for (const std::string_view part : split(*path.as_text(), ".", -1)) {
    const bool digits = !part.empty() && part.size() < 18 && part.find_first_not_of("0123456789") == part.npos;
    out = step(out, digits ? Value(static_cast<int64_t>(std::stoll(std::string(part)))) : Value(part));
  }
  return out;
}

}  // namespace ingrain::jinja
