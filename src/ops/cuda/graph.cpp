#include "ops/repeated.h"

#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

namespace ingrain::ops {
namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

/// Capturing wants a stream of its own, which the first run shares: by then libraries have their handles and workspaces there.
/// Both take their memory from one pool, so that the work's is held once.
class CudaReplayer : public Replayer {
 public:
  explicit CudaReplayer(at::Device device)
      : stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index())), pool_(at::cuda::graph_pool_handle()) {}
  ~CudaReplayer() override {
    if (runs_ > 0) allocator::releasePool(stream_.device_index(), pool_);
  }

  void run(const std::function<void()>& work) override {
    const c10::cuda::CUDAGuard device(stream_.device_index());
    if (runs_++ == 0) {
      aside([&] { launch(work); });
      return;
    }
    if (!captured_) {
      aside([&] { capture(work); });
      captured_ = true;
    }
    graph_.replay();
  }

 private:
  void launch(const std::function<void()>& work) {
    // Whichever thread asks for memory on our stream: a backward pass has its own.
    allocator::beginAllocateToPool(stream_.device_index(), pool_, [ours = stream_.stream()](cudaStream_t stream) { return stream == ours; });
    try {
      work();
    } catch (...) {
      allocator::endAllocateToPool(stream_.device_index(), pool_);
      throw;
    }
    allocator::endAllocateToPool(stream_.device_index(), pool_);
  }

  /// Other threads may go on using the device meanwhile. A capture that fails must still be ended.
  void capture(const std::function<void()>& work) {
    graph_.capture_begin(pool_, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      try {
        graph_.capture_end();
      } catch (const std::exception&) {  // it complains of what the first error broke
      }
      throw;
    }
    graph_.capture_end();
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

  c10::cuda::CUDAStream stream_;
  const c10::MempoolId_t pool_;
  at::cuda::CUDAGraph graph_;
  int64_t runs_ = 0;
  bool captured_ = false;
};

}  // namespace

std::unique_ptr<Replayer> make_cuda_replayer(at::Device device) { return std::make_unique<CudaReplayer>(device); }

}  // namespace ingrain::ops
