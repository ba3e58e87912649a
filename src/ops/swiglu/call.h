// What the gate's kernels are told, on a CPU as on a GPU.
#pragma once

#include "ops/number.h"

#include <cstdint>

namespace ingrain::ops {

/// The activation of a gated MLP: silu(a) = a sigmoid(a); gelu_tanh(a) = a / 2 (1 + tanh(sqrt(2 / pi) (a + 0.044715
/// a^3))), which is a sigmoid(g(a)) with twice that tanh's argument as g. Both are a sigmoid(g): f below; s =
/// sigmoid(g):
///   f' = s + a s (1 - s) g',   f" = s (1 - s) (2 g' + a ((1 - 2 s) g'^2 + g"))
enum class Gate { silu, gelu_tanh };

/// g(a) = kGeluScale (a + kGeluCube a^3).
constexpr double kGeluScale = 1.5957691216057308, kGeluCube = 0.044715;  // 2 sqrt(2 / pi)

struct SwigluCall {
  Number type;
  Gate gate;
  int64_t planes, rows, width;  // width: F
  const void *ab, *gu;          // [planes, rows, 2F], [planes, rows, F]
  void* out;                    // u [planes, rows, F] or gab [planes, rows, 2F]
};

}  // namespace ingrain::ops
