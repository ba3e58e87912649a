// Lists of tensors, for rows of optimizers' steps. They are fp32 in every model, so they are among the rows in fp32.
#pragma once

#include "bench/ops/row.h"

namespace ingrain::bench {

using Tensors = std::vector<Tensor>;
using Sizes = std::vector<std::vector<int64_t>>;

constexpr double kRate = 1e-3, kClip = 1;

inline Tensors make(const OpsInputs& in, const Sizes& sizes) {
  Tensors out;
  for (const auto& each : sizes) out.push_back(in.random_fp32(each));
  return out;
}

inline double numbers(const Sizes& sizes) {
  double out = 0;
  for (const auto& each : sizes) out += static_cast<double>(c10::multiply_integers(each));
  return out;
}

}  // namespace ingrain::bench
