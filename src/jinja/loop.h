// The variable `loop` of a for loop.
#pragma once

#include "jinja/runtime.h"

#include <functional>
#include <memory>
#include <optional>

namespace ingrain::jinja {

/// Reads its items one by one, at most one ahead; only its length needs all of them. Shared with whoever keeps `loop`.
struct Loop {
  std::shared_ptr<Generator> items;
  std::optional<int64_t> known_length;
  int64_t index0 = -1, depth0 = 0;
  std::optional<Value> after, changed;
  Value current, before;
  std::function<Value(const Value& items, int64_t depth)> recurse;  // of a recursive loop

  /// Steps to the next item; false at the end.
  bool advance(Runtime& runtime);
  /// Makes the next item, if there is one.
  const std::optional<Value>& peek(Runtime& runtime);
  int64_t length(Runtime& runtime);
  /// The items that are left, each with the loop, as jinja2 iterates over it.
  std::shared_ptr<Generator> pairs(const std::shared_ptr<Loop>& self);
};

/// loop.name; nothing if a loop has no such member.
std::optional<Value> loop_member(Runtime& runtime, const std::shared_ptr<Loop>& loop, std::string_view name);
bool is_loop_method(std::string_view name);
Value call_loop_method(Runtime& runtime, const std::shared_ptr<Loop>& loop, std::string_view name,
                       const CallArguments& arguments);

}  // namespace ingrain::jinja
