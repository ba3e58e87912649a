// The matrices of a block, for rows of products.
#pragma once

#include "bench/ops/row.h"

namespace ingrain::bench {

struct Matrix {
  int64_t rows, columns;
};

inline double product_flops(int64_t m, const Matrix& w) { return 2.0 * static_cast<double>(m * w.rows * w.columns); }

inline std::string sizes_of(int64_t m, const Matrix& w) { return fmt::format("m{}x{}x{}", m, w.rows, w.columns); }

/// What a block multiplies with: the stacked projection, the stacked w1 | w3, w2.
inline std::vector<Matrix> matrices(const OpsShape& s) {
  return {{(s.H + 2 * s.G) * s.d, s.D}, {2 * s.F, s.D}, {s.D, s.F}};
}

}  // namespace ingrain::bench
