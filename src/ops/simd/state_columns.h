#pragma once

#include <cstdint>

namespace ingrain::ops {

/// Columns of a recurrent state [keys, values] are independent of each other: so many are a task.
inline constexpr int64_t kStateColumns = 64;

/// Of a state with so many columns.
inline int64_t state_tasks(int64_t columns) { return (columns + kStateColumns - 1) / kStateColumns; }

}  // namespace ingrain::ops
