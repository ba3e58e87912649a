// A CUDA device, acted out on the CPU, so that kernels can be compared with their references where there is no GPU.
//
// Blocks run one after another; a block's threads are fibers that run one at a time, from barrier to barrier, in an
// order that is shuffled anew at every barrier. What a missing barrier would let happen on a GPU then does happen here,
// and the order is the same in every run. Shared memory starts as NaN, and writes beyond what a launch asked for are
// reported. Not modelled: time, memory coalescing and alignment of global memory, register pressure, and limits of a
// real device other than shared memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace ingrain::test::gpu {

struct Index3 {
  unsigned x = 1, y = 1, z = 1;
};

/// Runs `kernel` for every thread of the grid; throws std::runtime_error where it can never end (a barrier that not all
/// threads reach) or wrote beyond its shared memory.
void run(Index3 grid, Index3 block, size_t shared_bytes, const std::function<void()>& kernel);

constexpr size_t kSharedMemory = 163 * 1024;  // what one block may ask for on an A100

// What a thread may call.
void block_barrier();
bool any_of_block(bool mine);
void warp_barrier();
int lane();
/// Every lane gives some bytes, kLaneBytes at most, and gets what lane `from` gave.
void give(const void* mine, size_t bytes);
const void* given_by(int lane);
constexpr size_t kLaneBytes = 32;

/// Every lane's x, once all have given theirs.
template <class T>
class OfAllLanes {
 public:
  explicit OfAllLanes(const T& mine) {
    static_assert(sizeof(T) <= kLaneBytes);
    give(&mine, sizeof(T));
  }
  /// Until the warp's next exchange but one.
  const T& operator[](int lane) const { return *static_cast<const T*>(given_by(lane)); }
};

}  // namespace ingrain::test::gpu

/// The running thread's place, under CUDA's names. Set whenever a fiber goes on.
extern thread_local ingrain::test::gpu::Index3 threadIdx, blockIdx, blockDim, gridDim;
