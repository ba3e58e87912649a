#include "ops/repeated.h"

#include <ATen/core/CachingHostAllocator.h>
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <mutex>
#include <vector>

namespace ingrain::ops {
namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

/// A stream that nobody else captures on while this lives. Streams are handed on: for every one that it ever multiplied on, cuBLAS
/// keeps a workspace for good (32 MiB a thread on an H100).
class LentStream {
 public:
  explicit LentStream(c10::DeviceIndex device) : stream_(take(device)) {}
  ~LentStream() {
    const std::lock_guard lock(mutex());
    free().push_back(stream_);
  }
  LentStream(const LentStream&) = delete;
  LentStream& operator=(const LentStream&) = delete;

  const c10::cuda::CUDAStream& get() const { return stream_; }

 private:
  static std::mutex& mutex() {
    static std::mutex mutex;
    return mutex;
  }
  static std::vector<c10::cuda::CUDAStream>& free() {
    static std::vector<c10::cuda::CUDAStream> streams;
    return streams;
  }
  static c10::cuda::CUDAStream take(c10::DeviceIndex device) {
    const std::lock_guard lock(mutex());
    const auto found = std::find_if(free().begin(), free().end(), [&](const auto& stream) { return stream.device_index() == device; });
    if (found == free().end()) return c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device);
    const c10::cuda::CUDAStream stream = *found;
    free().erase(found);
    return stream;
  }

  const c10::cuda::CUDAStream stream_;
};

/// Capturing wants a stream of its own, which the first run shares: by then libraries have their handles and workspaces there.
/// Both take their memory from one pool, so that the work's is held once. Work that cannot be captured is launched every time.
class CudaReplayer : public Replayer {
 public:
  explicit CudaReplayer(at::Device device) : lent_(device.index()), stream_(lent_.get()), pool_(at::cuda::graph_pool_handle()) {}
  ~CudaReplayer() override {
    for (; uses_ > 0; --uses_) allocator::releasePool(stream_.device_index(), pool_);
  }

  void run(const std::function<void()>& work) override {
    const c10::cuda::CUDAGuard device(stream_.device_index());
    if (state_ == State::launched) {
      aside([&] { capture(work); });
    } else if (state_ != State::captured) {
      aside([&] { launch(work); });
      if (state_ == State::fresh) state_ = State::launched;
    }
    if (state_ == State::captured) graph_->replay();
  }

 private:
  enum class State { fresh, launched, captured, refused };

  void launch(const std::function<void()>& work) {
    // Whichever thread asks for memory on our stream: a backward pass has its own.
    allocator::beginAllocateToPool(stream_.device_index(), pool_, [ours = stream_.stream()](cudaStream_t stream) { return stream == ours; });
    ++uses_;
    try {
      work();
    } catch (...) {
      allocator::endAllocateToPool(stream_.device_index(), pool_);
      throw;
    }
    allocator::endAllocateToPool(stream_.device_index(), pool_);
  }

  /// Other threads may go on using the device meanwhile. Where it fails, nothing of the work has been done: it is launched instead.
  void capture(const std::function<void()>& work) {
    graph_ = std::make_unique<at::cuda::CUDAGraph>();
    try {
      graph_->capture_begin(pool_, cudaStreamCaptureModeThreadLocal);
      work();
      graph_->capture_end();
      state_ = State::captured;
      return;
    } catch (const std::exception& e) {
      state_ = State::refused;
      TORCH_WARN("a CUDA graph could not be captured, so that its work is launched kernel by kernel: ", e.what());
    }
    abandon();
    launch(work);
  }

  /// A capture that failed must still be ended, and if CUDA broke it off, libtorch's allocators do not hear of its end by themselves:
  /// they would go on asking the graph which memory is its own. Each step complains where it is not needed.
  void abandon() {
    const auto attempt = [](const auto& step) {
      try {
        step();
      } catch (const std::exception&) {
      }
    };
    attempt([&] { graph_->capture_end(); });
    attempt([&] { allocator::endAllocateToPool(stream_.device_index(), pool_), ++uses_; });
    attempt([&] { at::getHostAllocator(at::kCUDA)->end_allocate_to_pool(pool_); });
    graph_.reset();
  }

  /// On our stream, after what the current one was given before and before what it is given next.
  void aside(const std::function<void()>& work) {
    const auto outside = c10::cuda::getCurrentCUDAStream(stream_.device_index());
    at::cuda::CUDAEvent begin, end;
    begin.record(outside);
    begin.block(stream_);
    {
      const c10::cuda::CUDAStreamGuard inside(stream_);
      work();
    }
    end.record(stream_);
    end.block(outside);
  }

  const LentStream lent_;
  const c10::cuda::CUDAStream stream_;
  const c10::MempoolId_t pool_;
  int64_t uses_ = 0;  // of the pool, which its allocator counts
  std::unique_ptr<at::cuda::CUDAGraph> graph_;
  State state_ = State::fresh;
};

}  // namespace

std::unique_ptr<Replayer> make_cuda_replayer(at::Device device) { return std::make_unique<CudaReplayer>(device); }

}  // namespace ingrain::ops
