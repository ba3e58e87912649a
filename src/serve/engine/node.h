// A state of a conversation's memory, and how it came about: a node of the tree of all that was said.
#pragma once

#include "serve/engine/engine.h"
#include "serve/engine/text_hash.h"
#include "ttt/memory.h"

#include <compare>
#include <memory>
#include <string>
#include <vector>

namespace ingrain::serve {

/// Which texts may go on from each other: same owner, same beginning, same kind of learning.
struct Root {
  Owner owner;
  std::string base;  // id of a state, or ""
  Learn learn = Learn::all;
  auto operator<=>(const Root&) const = default;
};

/// Tokens as a memory has read them: of a prompt many at once, of an answer one by one, as they were written.
struct ReadPart {
  std::vector<int32_t> tokens;
  bool written = false;
};

/// A state. What is not mutable never changes.
struct Node {
  std::string id;
  Root root;
  std::shared_ptr<const Node> parent;  // its tokens follow the parent's; nullptr: they are all there are
  std::vector<int32_t> tokens;
  std::vector<ReadPart> read;  // what was read after the parent, where that is not just `tokens` as a prompt
  TextHash hash;               // of all tokens since the base
  int64_t position = 0, steps = 0;
  uint64_t bytes = 0;
  // Under the States' lock:
  mutable std::shared_ptr<const ttt::Memory> memory;  // nullptr: not in RAM
  mutable bool on_disk = false, in_records = false;
  mutable int64_t used = 0;  // rises with every use

  ~Node();
  /// All tokens since the base.
  std::vector<int32_t> text() const;
  /// How many were read after the base.
  int64_t tokens_read() const;
  /// What was read after `earlier`, one of those that it goes on from (nullptr: after the base).
  std::vector<ReadPart> read_since(const Node* earlier) const;
};
using NodePtr = std::shared_ptr<const Node>;

}  // namespace ingrain::serve
