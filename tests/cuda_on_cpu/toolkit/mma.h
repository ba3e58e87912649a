// Stands in for CUDA's header of this name where kernels are compiled for the emulator: 16x16x16 bf16 products. The first
// lane does a warp's whole work at its own time, so that operands other lanes wrote need a warp barrier between, as the
// programming guide asks.
#pragma once

#include "cuda_bf16.h"

#include <stdexcept>
#include <type_traits>

namespace nvcuda::wmma {

struct matrix_a {};
struct matrix_b {};
struct accumulator {};
struct row_major {};
struct col_major {};
enum layout_t { mem_row_major, mem_col_major };

template <class Use, int m, int n, int k, class T, class Layout = void>
struct fragment {
  static_assert(m == 16 && n == 16 && k == 16);
  float x[16][16];  // [row][column]; the first lane's alone is used
};

inline bool acts() { return ingrain::test::gpu::lane() == 0; }

template <class T>
void check_place(const T* at, unsigned ld) {
  if (reinterpret_cast<uintptr_t>(at) % 32 != 0 || ld * sizeof(T) % 16 != 0)
    throw std::runtime_error("a matrix must start on 32 bytes, and its rows on 16");
}

template <class Use, class Layout>
void load_matrix_sync(fragment<Use, 16, 16, 16, __nv_bfloat16, Layout>& f, const __nv_bfloat16* from, unsigned ld) {
  if (!acts()) return;
  check_place(from, ld);
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j)
      f.x[i][j] = __bfloat162float(std::is_same_v<Layout, row_major> ? from[i * ld + j] : from[j * ld + i]);
}
inline void load_matrix_sync(fragment<accumulator, 16, 16, 16, float>& f, const float* from, unsigned ld, layout_t) {
  if (!acts()) return;
  check_place(from, ld);
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) f.x[i][j] = from[i * ld + j];
}
inline void store_matrix_sync(float* to, const fragment<accumulator, 16, 16, 16, float>& f, unsigned ld, layout_t) {
  if (!acts()) return;
  check_place(to, ld);
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) to[i * ld + j] = f.x[i][j];
}
inline void fill_fragment(fragment<accumulator, 16, 16, 16, float>& f, float value) {
  if (!acts()) return;
  for (auto& row : f.x)
    for (float& x : row) x = value;
}

template <class A, class B>
void mma_sync(fragment<accumulator, 16, 16, 16, float>& d, const A& a, const B& b,
              const fragment<accumulator, 16, 16, 16, float>& c) {
  if (!acts()) return;
  for (int i = 0; i < 16; ++i) {
    float sum[16];
    for (int j = 0; j < 16; ++j) sum[j] = c.x[i][j];
    for (int k = 0; k < 16; ++k)
      for (int j = 0; j < 16; ++j) sum[j] += a.x[i][k] * b.x[k][j];
    for (int j = 0; j < 16; ++j) d.x[i][j] = sum[j];
  }
}

}  // namespace nvcuda::wmma
