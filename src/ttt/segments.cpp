#include "ttt/segments.h"

#include <algorithm>
#include <cmath>

namespace ingrain::ttt {

Segments plan_segments(int64_t count, const KeptSets& sets, int64_t keep_bytes, int64_t host_bytes) {
  const int64_t bytes = std::max<int64_t>(1, sets.bytes);
  if (sets.of_step * count <= std::max<int64_t>(1, keep_bytes / bytes)) return {count, count, false};
  const auto least = std::max<int64_t>(1, static_cast<int64_t>(std::sqrt(static_cast<double>(count) / 2)));
  const int64_t starts = host_bytes / (sets.of_start * bytes);
  if (starts == 0) return {count, least, false};
  const int64_t length = (count + starts - 1) / starts;
  return length > least ? Segments{count, least, false} : Segments{count, length, true};
}

}  // namespace ingrain::ttt
