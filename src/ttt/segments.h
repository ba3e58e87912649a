// Which of the inner loop's fast weights the sweeps of the outer gradient keep, and where.
#pragma once

#include <cstdint>

namespace ingrain::ttt {

/// The inner steps of a sequence are cut into segments. What each of them starts from is kept from the forward to the
/// reverse sweep, all that its steps make only while it is at hand: it is computed again from its start.
struct Segments {
  int64_t count = 1;     // steps, the last chunk's scoring among them
  int64_t length = 1;    // steps of one segment
  bool on_host = false;  // starts lie in the host's memory while nobody reads them

  int64_t starts() const { return (count + length - 1) / length; }
};

/// What is kept at a time, in bytes of one set of fast weights: of a step (W, g; with a momentum M), and of a start.
struct KeptSets {
  int64_t of_step = 2, of_start = 1, bytes = 0;
};

/// One segment where all of it fits `keep_bytes`; else segments that need least. Where `host_bytes` hold the starts of
/// shorter ones, those, with their starts there.
Segments plan_segments(int64_t count, const KeptSets& sets, int64_t keep_bytes, int64_t host_bytes);

}  // namespace ingrain::ttt
