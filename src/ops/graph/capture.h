// Work on the CPU that repeats (ops/graph/graph.h), captured kernel by kernel with all that it points at, and done
// again by one team of threads: no kernel is dispatched anew, no result allocated, and the threads meet after a kernel
// where they were started for each.
#pragma once

#include "ops/dual.h"
#include "ops/graph/team_size.h"

#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

namespace ingrain::ops::cpu {

class Capture {
 public:
  /// Items begin .. end of a kernel's work.
  using Run = std::function<void(int64_t begin, int64_t end)>;

  /// The one that the calling thread's work is captured in; nullptr: none.
  static Capture* current() { return current_; }

  /// While it lives, the calling thread's work is captured in `capture` (nullptr: in none).
  class Scope {
   public:
    explicit Scope(Capture* capture);
    ~Scope() { current_ = outer_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Capture* const outer_;
  };

  /// A kernel: `items` that may be shared out among threads, at least `grain` to each. operands: what `run` points at,
  /// which is kept.
  void add(std::initializer_list<Tensor> operands, int64_t items, int64_t grain, Run run);

  /// Everything that was captured, in its order, on libtorch's threads: on fewer while the machine has no core for
  /// each.
  void launch();

  /// The first thing that was computed, by libtorch or by a kernel that cannot be captured, and would be missing.
  /// Empty: nothing.
  const std::string& refusal() const { return refusal_; }
  void refuse(const char* operation);

 private:
  struct Step {
    std::vector<Tensor> operands;
    int64_t items, grain;
    Run run;
    int64_t parts(int64_t most) const;
  };

  static constinit thread_local Capture* current_;
  std::vector<Step> steps_;
  TeamSize team_;
  std::string refusal_;
};

/// Said by what cannot be captured: where the calling thread's work is, its capture will not be launched.
inline void refuse_capture(const char* what) {
  if (Capture* const capture = Capture::current()) capture->refuse(what);
}

}  // namespace ingrain::ops::cpu
