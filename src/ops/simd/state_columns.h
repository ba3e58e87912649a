#pragma once

#include "ops/graph/parallel.h"

namespace ingrain::ops {

/// Columns of a recurrent state [keys, values] are independent of each other: so many are a task.
inline constexpr int64_t kStateColumns = 64;

/// Of a state with so many columns.
inline int64_t state_tasks(int64_t columns) { return (columns + kStateColumns - 1) / kStateColumns; }

/// Runs a token-by-token kernel over all columns of the states of so many sequences. A `Call` has the numbers tokens,
/// heads, keys and values; `operands` are the tensors that it points at.
template <class Call>
void over_state_columns(std::initializer_list<Tensor> operands, int64_t sequences, const Call& call,
                        void (*run)(const Call&, int64_t begin, int64_t end)) {
  cpu::parallel(operands, sequences * call.heads * state_tasks(call.values),
                cpu::grain(2 * call.tokens * call.keys * kStateColumns),
                [call, run](int64_t begin, int64_t end) { run(call, begin, end); });
}

}  // namespace ingrain::ops
