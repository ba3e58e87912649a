// Work on the CPU that repeats (ops/repeated.h), noted kernel by kernel with all that it points at, and done again by one team of
// threads: nothing is dispatched or allocated anew, and the threads meet after a kernel where they were started for each.
#pragma once

#include "ops/planes.h"

#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

namespace ingrain::ops::cpu {

class Recording {
 public:
  /// Items begin .. end of a kernel's work.
  using Run = std::function<void(int64_t begin, int64_t end)>;

  /// The one that the calling thread's work is noted in; nullptr: none.
  static Recording* current() { return current_; }

  /// While it lives, the calling thread's work is noted in `recording` (nullptr: in none).
  class Scope {
   public:
    explicit Scope(Recording* recording);
    ~Scope() { current_ = outer_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Recording* const outer_;
  };

  /// A kernel: `items` that may be shared out among threads, at least `grain` to each. operands: what `run` points at, which is kept.
  void add(std::initializer_list<Tensor> operands, int64_t items, int64_t grain, Run run);

  /// Everything that was noted, in its order, on libtorch's threads.
  void play() const;

  /// What was computed, by libtorch or by kernels that cannot be noted, and would be missing. Empty: nothing.
  const std::string& objection() const { return objection_; }
  void object(const char* operation);

 private:
  struct Step {
    std::vector<Tensor> operands;
    int64_t items, grain;
    Run run;
    int64_t parts(int64_t most) const;
  };

  static constinit thread_local Recording* current_;
  std::vector<Step> steps_;
  std::string objection_;
};

/// Said by what cannot be noted: where the calling thread's work is, that is an objection.
inline void not_noted(const char* what) {
  if (Recording* const recording = Recording::current()) recording->object(what);
}

}  // namespace ingrain::ops::cpu
