// The emulator must find what it is there to find.
#include "ops/cuda/launch.cuh"

#include <gtest/gtest.h>

namespace ingrain::test {
namespace {

using ops::cuda::launch;
using ops::cuda::shared_memory;

__global__ void mirror(float* out, bool with_barrier) {
  float* const room = reinterpret_cast<float*>(shared_memory());
  room[threadIdx.x] = float(threadIdx.x);
  if (with_barrier) __syncthreads();
  out[threadIdx.x] = room[blockDim.x - 1 - threadIdx.x];
}

int mistakes(bool with_barrier) {
  std::vector<float> out(64);
  launch("mirror", mirror, {dim3(1), 64, 64 * sizeof(float)}, nullptr, out.data(), with_barrier);
  int wrong = 0;
  for (int i = 0; i < 64; ++i) wrong += out[size_t(i)] != float(63 - i);
  return wrong;
}

TEST(CudaOnCpu, a_missing_barrier_shows_in_the_numbers) {
  EXPECT_EQ(mistakes(true), 0);
  EXPECT_GT(mistakes(false), 10);
}

__global__ void writes_beyond(int) { shared_memory()[threadIdx.x + 1] = 0; }
TEST(CudaOnCpu, a_write_beyond_shared_memory_is_reported) {
  EXPECT_ANY_THROW(launch("writes_beyond", writes_beyond, {dim3(1), 32, 32}, nullptr, 0));
}

__global__ void half_a_barrier(int) {
  if (threadIdx.x < 5)
    __syncwarp();
  else
    __syncthreads();
}
TEST(CudaOnCpu, a_barrier_that_not_all_reach_is_reported) {
  EXPECT_ANY_THROW(launch("half_a_barrier", half_a_barrier, {dim3(1), 32, 0}, nullptr, 0));
}

__global__ void sum_lanes(float* out) {
  float x = float(threadIdx.x);
  for (int distance = 16; distance > 0; distance /= 2) x += __shfl_xor_sync(0xffffffffu, x, distance);
  out[blockIdx.x * blockDim.x + threadIdx.x] = x;
}
TEST(CudaOnCpu, shuffles_stay_within_a_warp) {
  std::vector<float> out(2 * 64);
  launch("sum_lanes", sum_lanes, {dim3(2), 64, 0}, nullptr, out.data());
  for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], i % 64 < 32 ? 496 : 496 + 32 * 32) << i;
}

}  // namespace
}  // namespace ingrain::test
