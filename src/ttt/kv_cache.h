// The keys and values that later queries need, for one block.
#pragma once

#include "ops/windowed_attention/windowed_attention.h"

#include <functional>

namespace ingrain::ttt {

/// A queue of positions: append at the end, forget at the front. Appending costs the new positions only (amortised):
/// the buffer has room for twice what is kept, and moves its content to the front when it is full.
class KvCache {
 public:
  KvCache() = default;
  /// Of keys and values [B, n, G, d], where they are and without room for more.
  KvCache(Tensor k_BnGd, Tensor v_BnGd);
  /// k, v: [B, n, G, d].
  void append(const Tensor& k_BnGd, const Tensor& v_BnGd);
  /// Keeps the newest n positions.
  void keep_last(int64_t n);
  /// On a CPU: a buffer of more than twice what is kept is exchanged for one without room, so that not every block has
  /// one as large as what was read at once. Views stay valid.
  void give_back_room();
  /// The newest n positions, or all there are if fewer. A view: valid until the next append.
  ops::KvWindow last(int64_t n) const;
  /// The n positions before the newest `skip` ones, or as many as there are.
  ops::KvWindow before(int64_t skip, int64_t n) const;
  int64_t length() const { return end_ - begin_; }
  /// Of its buffers, with the room for more.
  uint64_t bytes() const { return k_BCGd_.defined() ? k_BCGd_.storage().nbytes() + v_BCGd_.storage().nbytes() : 0; }
  /// What is kept, with room for n more behind it: [B, length + n, G, d]. It stays where it is until append() has more
  /// to keep than that. REQUIRES: something was appended once.
  ops::KvWindow with_room(int64_t n);

  /// A copy that shares nothing.
  KvCache clone() const;
  /// What is kept and no room: of(keys) and of(values), [B, length, G, d].
  KvCache map(const std::function<Tensor(const Tensor& x)>& of) const;

 private:
  void move(int64_t capacity, const Tensor& like_k, const Tensor& like_v);

  Tensor k_BCGd_, v_BCGd_;
  int64_t begin_ = 0, end_ = 0;
};

}  // namespace ingrain::ttt
