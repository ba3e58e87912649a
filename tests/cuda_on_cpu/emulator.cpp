#include "emulator.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

thread_local ingrain::test::gpu::Index3 threadIdx, blockIdx, blockDim, gridDim;

namespace ingrain::ops::cuda {
/// What kernels see as their dynamic shared memory. A margin behind it catches writes beyond its end.
constexpr size_t kMargin = 1024;
alignas(128) thread_local unsigned char dynamic_shared[test::gpu::kSharedMemory + kMargin];
}  // namespace ingrain::ops::cuda

namespace ingrain::test::gpu {

namespace {

using ops::cuda::dynamic_shared;
using ops::cuda::kMargin;

constexpr size_t kStackBytes = 256 * 1024;
constexpr unsigned char kPoison = 0xff;  // fp32 and bf16 of these bytes are NaN

enum class State { ready, at_block_barrier, at_warp_barrier, done };

struct Fiber {
  ucontext_t context;  // where it begins; afterwards it goes on at `place`: swapcontext asks the kernel at every switch
  jmp_buf place;
  bool begun = false;
  std::unique_ptr<char[]> stack{new char[kStackBytes]};
  State state = State::done;
  bool flag = false;                              // for any_of_block
  alignas(8) unsigned char slots[2][kLaneBytes];  // what it gives away: two, so that the next exchange does not
                                                  // overwrite this one
  unsigned exchanges = 0;
};

class Block {
 public:
  void run(Index3 size, const std::function<void()>& kernel) {
    threads_ = size.x * size.y * size.z;
    while (fibers_.size() < threads_) fibers_.push_back(std::make_unique<Fiber>());
    kernel_ = &kernel;
    failure_ = nullptr;
    for (unsigned i = 0; i < threads_; ++i) start(i);
    while (!failure_ && step()) {}
    if (failure_) std::rethrow_exception(failure_);
  }

  void wait(State state) {
    Fiber& me = *fibers_[current_];
    me.state = state;
    if (_setjmp(me.place) == 0) _longjmp(scheduler_, 1);
  }
  Fiber& me() { return *fibers_[current_]; }
  Fiber& lane_of_my_warp(unsigned lane) {
    const unsigned i = current_ / 32 * 32 + lane;
    if (i >= threads_) throw std::runtime_error("a shuffle reaches beyond the block");
    return *fibers_[i];
  }
  unsigned current() const { return current_; }
  bool any() const { return any_; }

 private:
  static void enter() { instance().body(); }
  void body() {
    try {
      (*kernel_)();
    } catch (...) {
      failure_ = std::current_exception();
    }
    fibers_[current_]->state = State::done;
    _longjmp(scheduler_, 1);
  }

  /// Until it waits at a barrier or has ended.
  [[gnu::noinline]] void go_on(Fiber& fiber) {
    if (_setjmp(scheduler_) != 0) return;
    if (fiber.begun) _longjmp(fiber.place, 1);
    fiber.begun = true;
    setcontext(&fiber.context);
  }

  void start(unsigned i) {
    Fiber& fiber = *fibers_[i];
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = nullptr;
    fiber.state = State::ready;
    fiber.begun = false;
    fiber.exchanges = 0;
    makecontext(&fiber.context, &Block::enter, 0);
  }

  /// Lets every ready fiber run to its next barrier, in shuffled order, then opens the barriers that are complete.
  bool step() {
    std::vector<unsigned> ready;
    for (unsigned i = 0; i < threads_; ++i)
      if (fibers_[i]->state == State::ready) ready.push_back(i);
    std::shuffle(ready.begin(), ready.end(), random_);
    for (const unsigned i : ready) {
      current_ = i;
      threadIdx = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
      go_on(*fibers_[i]);
    }
    bool opened = false;
    for (unsigned first = 0; first < threads_; first += 32)
      opened |= open(first, std::min(first + 32, threads_), State::at_warp_barrier);
    if (opened) return true;
    any_ = false;
    for (unsigned i = 0; i < threads_; ++i) any_ |= fibers_[i]->state == State::at_block_barrier && fibers_[i]->flag;
    if (open(0, threads_, State::at_block_barrier)) return true;
    for (unsigned i = 0; i < threads_; ++i)
      if (fibers_[i]->state != State::done)
        throw std::runtime_error("threads wait at a barrier that others never reach");
    return false;
  }

  /// Opens a barrier if every thread of [first, end) is at it or, for the block's, has ended.
  bool open(unsigned first, unsigned end, State barrier) {
    unsigned waiting = 0;
    for (unsigned i = first; i < end; ++i) {
      const State state = fibers_[i]->state;
      const bool may_be_gone = state == State::done && barrier == State::at_block_barrier;
      if (state != barrier && !may_be_gone) return false;
      waiting += state == barrier;
    }
    for (unsigned i = first; i < end; ++i)
      if (fibers_[i]->state == barrier) fibers_[i]->state = State::ready;
    return waiting > 0;
  }

  static Block& instance();
  friend Block& block();

  std::vector<std::unique_ptr<Fiber>> fibers_;
  unsigned threads_ = 0, current_ = 0;
  bool any_ = false;
  jmp_buf scheduler_;
  const std::function<void()>* kernel_ = nullptr;
  std::exception_ptr failure_;
  std::mt19937 random_{1};
};

Block& Block::instance() {
  thread_local Block block;
  return block;
}
Block& block() { return Block::instance(); }

}  // namespace

void run(Index3 grid, Index3 size, size_t shared_bytes, const std::function<void()>& kernel) {
  if (shared_bytes > kSharedMemory) throw std::runtime_error("more shared memory than a block may have");
  if (size.x * size.y * size.z > 1024 || grid.y > 65535 || grid.z > 65535)
    throw std::runtime_error("no such launch on a GPU");
  blockDim = size, gridDim = grid;
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        blockIdx = {x, y, z};
        std::memset(dynamic_shared, kPoison, shared_bytes + kMargin);
        block().run(size, kernel);
        for (size_t i = shared_bytes; i < shared_bytes + kMargin; ++i)
          if (dynamic_shared[i] != kPoison) throw std::runtime_error("a kernel wrote beyond its shared memory");
      }
}

void block_barrier() { block().wait(State::at_block_barrier); }
bool any_of_block(bool mine) {
  block().me().flag = mine;
  block().wait(State::at_block_barrier);
  return block().any();
}
void warp_barrier() { block().wait(State::at_warp_barrier); }
void give(const void* mine, size_t bytes) {
  Fiber& me = block().me();
  std::memcpy(me.slots[me.exchanges++ % 2], mine, bytes);
  warp_barrier();
}
const void* given_by(int lane) {
  return block().lane_of_my_warp(static_cast<unsigned>(lane)).slots[(block().me().exchanges - 1) % 2];
}
int lane() { return static_cast<int>(block().current() % 32); }

}  // namespace ingrain::test::gpu
