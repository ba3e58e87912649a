// What products and attention gave, kept from passes over the parts of a chunk, so that a pass over the whole chunk
// which is made for its gradient alone need not compute them again. Everything between them is element by element, and
// cheap.
#pragma once

#include "ops/dual.h"

#include <initializer_list>
#include <vector>

namespace ingrain::ops {

/// Results by the order of the calls. Copies share the tensors of those that stand on it.
class ActivationCache {
 public:
  /// For passes over parts of T tokens in all.
  explicit ActivationCache(int64_t tokens) : tokens_(tokens) {}

  enum class Mode { store, reuse };
  /// While it lives, the calling thread's operations keep their results for tokens first .. first + count - 1 in the
  /// cache; or take them from it. A pass may be made in several scopes, each of which begins at the call
  /// (0-based) that the one before ended at. REQUIRES: the same operations in the same order in every pass; c10::Error
  /// where there are more of them when they are reused.
  class Scope {
   public:
    Scope(ActivationCache& cache, Mode mode, int64_t first, int64_t count, size_t call = 0);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    ActivationCache* const outer_;
  };

  /// An operation's result, `compute`d or from the cache of the innermost scope. token_axis: where its tokens are,
  /// counted from its last axis, -1.
  template <class Compute>
  static Tensor through(int64_t token_axis, const Compute& compute) {
    if (!active_) return compute();
    return through({token_axis}, [&] { return std::vector<Tensor>{compute()}; })[0];
  }
  /// The same for several results; undefined ones stay so.
  template <class Compute>
  static std::vector<Tensor> through(std::initializer_list<int64_t> token_axes, const Compute& compute) {
    if (!active_) return compute();
    return active_->mode_ == Mode::store ? active_->put(compute(), token_axes.begin())
                                         : active_->take(token_axes.begin());
  }

  /// The call that the latest scope ended at.
  size_t next_call() const { return next_; }

 private:
  std::vector<Tensor> put(std::vector<Tensor> results, const int64_t* token_axes);
  std::vector<Tensor> take(const int64_t* token_axes);

  static thread_local ActivationCache* active_;
  int64_t tokens_;
  std::vector<std::vector<Tensor>> calls_;
  Mode mode_ = Mode::store;
  int64_t first_ = 0, count_ = 0;
  size_t next_ = 0;
};

}  // namespace ingrain::ops
