// Runs of a benchmark, which a signal ends at once: one that was not whole counts for nothing.
#pragma once

#include "base/interrupt.h"
#include "bench/subject.h"
#include "ttt/read.h"

namespace ingrain::bench {

/// Within a run: Stopped, if a signal came.
inline void go_on() { stop_if_interrupted("stopped before anything was measured whole; nothing is printed"); }

/// Calls run(0), run(1), ... until they are all done, or a signal ends one of them. Stopped, if that was the first.
template <class Run>
void whole_runs(int64_t runs, const Run& run) {
  for (int64_t i = 0; i < runs; ++i) {
    try {
      run(i);
    } catch (const Stopped&) {
      if (i == 0) throw;
      return;
    }
  }
}

/// Reads on to position `end`, in pieces that keep memory's use the same for a text of any length. Stopped, if a signal
/// came.
void read_to(const Subject& subject, ttt::Memory& memory, int64_t end, ttt::ReadOptions options = {});

}  // namespace ingrain::bench
