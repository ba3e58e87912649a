// What the next token may be: a grammar over bytes, as a mask over tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace ingrain::serve {

/// One text's walk through a grammar. A copy (clone) goes on independently. One thread at a time.
class Constraint {
 public:
  virtual ~Constraint() = default;
  /// Bit i % 64 of word i / 64: whether token i may come next. `bits` has a bit for every id of the vocabulary; all are
  /// set anew. The model's end-of-text tokens are the caller's: see may_end().
  virtual void allow(std::span<uint64_t> bits) = 0;
  /// Whether the text may end here; complete(): it must, since nothing can follow.
  virtual bool may_end() const = 0;
  virtual bool complete() const = 0;
  /// REQUIRES: a token that allow() allowed.
  virtual void accept(int32_t token) = 0;
  virtual std::unique_ptr<Constraint> clone() const = 0;
};

}  // namespace ingrain::serve
