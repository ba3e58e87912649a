#include "jinja/loop.h"

namespace ingrain::jinja {

const std::optional<Value>& Loop::peek(Runtime& runtime) {
  if (!after) after = items->pull(runtime);
  return after;
}

bool Loop::advance(Runtime& runtime) {
  std::optional<Value> next = after ? std::exchange(after, std::nullopt) : items->pull(runtime);
  if (!next) return false;
  ++index0;
  before = std::exchange(current, *std::move(next));
  return true;
}

int64_t Loop::length(Runtime& runtime) {
  if (known_length) return *known_length;
  const int64_t rest = *length_of(runtime, Value(items));
  known_length = rest + index0 + 1 + (after ? 1 : 0);
  return *known_length;
}

std::shared_ptr<Generator> Loop::pairs(const std::shared_ptr<Loop>& self) {
  auto out = std::make_shared<Generator>();
  out->depth = checked_depth(items->depth + 1);
  out->next = [self](Runtime& runtime) -> std::optional<Value> {
    if (!self->advance(runtime)) return std::nullopt;
    return Value::list({self->current, Value(self)}, true);
  };
  return out;
}

bool is_loop_method(std::string_view name) { return name == "cycle" || name == "changed"; }

std::optional<Value> loop_member(Runtime& runtime, const std::shared_ptr<Loop>& loop, std::string_view name) {
  const int64_t index0 = loop->index0;
  if (name == "index") return index0 + 1;
  if (name == "index0") return index0;
  if (name == "first") return index0 == 0;
  if (name == "last") return !loop->peek(runtime).has_value();
  if (name == "length") return loop->length(runtime);
  if (name == "revindex") return loop->length(runtime) - index0;
  if (name == "revindex0") return loop->length(runtime) - index0 - 1;
  if (name == "depth") return loop->depth0 + 1;
  if (name == "depth0") return loop->depth0;
  if (name == "previtem") return index0 == 0 ? Value::undefined("there is no previous item") : loop->before;
  if (name == "nextitem") return loop->peek(runtime).value_or(Value::undefined("there is no next item"));
  if (is_loop_method(name))
    return Value(std::make_shared<const Callable>(Callable{std::string(name), Value(loop), nullptr}));
  return std::nullopt;
}

Value call_loop_method(Runtime& runtime, const std::shared_ptr<Loop>& loop, std::string_view name,
                       const CallArguments& arguments) {
  require(arguments.named.empty(), "loop.{}: named arguments are not understood", name);
  if (name == "cycle") {
    require(!arguments.positional.empty(), "loop.cycle: no values are given");
    return arguments.positional[static_cast<size_t>(std::max<int64_t>(loop->index0, 0)) % arguments.positional.size()];
  }
  Value now = Value::list(arguments.positional, true);
  const bool changed = !loop->changed || !equal(runtime, *loop->changed, now);
  if (changed) loop->changed = std::move(now);
  return changed;
}

}  // namespace ingrain::jinja
