#include "ops/graph/graph.h"

#include <ATen/core/CachingHostAllocator.h>
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

namespace ingrain::ops {
namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

/// A stream that nobody else captures on while this lives. Streams are handed on: for every one that it ever multiplied
/// on, cuBLAS keeps a workspace for good (32 MiB a thread on an H100).
class LentStream {
 public:
  /// nullptr if all of libtorch's are lent: it hands out 32 a GPU in turn, again and again.
  static std::unique_ptr<LentStream> take(c10::DeviceIndex device) {
    const std::lock_guard lock(mutex());
    const auto found =
        std::find_if(free().begin(), free().end(), [&](const auto& stream) { return stream.device_index() == device; });
    if (found != free().end()) {
      const c10::cuda::CUDAStream stream = *found;
      free().erase(found);
      return std::unique_ptr<LentStream>(new LentStream(stream));
    }
    for (int draw = 0; draw < kPoolSize; ++draw) {
      const c10::cuda::CUDAStream stream = c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device);
      if (known().insert(stream.stream()).second) return std::unique_ptr<LentStream>(new LentStream(stream));
    }
    return nullptr;
  }
  ~LentStream() {
    const std::lock_guard lock(mutex());
    free().push_back(stream_);
  }
  LentStream(const LentStream&) = delete;
  LentStream& operator=(const LentStream&) = delete;

  const c10::cuda::CUDAStream& get() const { return stream_; }

 private:
  static constexpr int kPoolSize = 32;
  explicit LentStream(const c10::cuda::CUDAStream& stream) : stream_(stream) {}
  static std::mutex& mutex() {
    static std::mutex mutex;
    return mutex;
  }
  static std::vector<c10::cuda::CUDAStream>& free() {
    static std::vector<c10::cuda::CUDAStream> streams;
    return streams;
  }
  static std::set<cudaStream_t>& known() {
    static std::set<cudaStream_t> streams;
    return streams;
  }

  const c10::cuda::CUDAStream stream_;
};

/// Capturing wants a stream of its own, which the first run shares: by then libraries have their handles and workspaces
/// there. Work that cannot be captured is launched every time.
class CudaGraphExec : public GraphExec {
 public:
  explicit CudaGraphExec(std::unique_ptr<LentStream> stream) : lent_(std::move(stream)) {}
  ~CudaGraphExec() override {
    // Whoever gets the stream next gets its memory, too, which the current stream may still read.
    succeeds([&] {
      at::cuda::CUDAEvent done;
      done.record(c10::cuda::getCurrentCUDAStream(stream().device_index()));
      done.block(stream());
    });
  }
  CudaGraphExec(const CudaGraphExec&) = delete;
  CudaGraphExec& operator=(const CudaGraphExec&) = delete;

  void run(const std::function<void()>& work) override {
    const c10::cuda::CUDAGuard device(stream().device_index());
    if (state_ == State::launched) {
      aside([&] { capture(work); });
    } else if (state_ != State::captured) {
      aside(work);
      if (state_ == State::fresh) state_ = State::launched;
    }
    if (state_ == State::captured) graph_->replay();
  }
  bool captured() const override { return state_ == State::captured; }
  std::string refusal() const override { return refusal_; }

 private:
  enum class State { fresh, launched, captured, refused };

  const c10::cuda::CUDAStream& stream() const { return lent_->get(); }

  /// Other threads may go on using the device meanwhile. Where it fails, nothing of the work has been done: it is
  /// launched instead.
  void capture(const std::function<void()>& work) {
    // A graph's memory is its own. The first run's is libtorch's again: while a pool like this is open, what libtorch
    // merely keeps for later is not given back when memory runs short, so that as little as possible should be asked
    // for meanwhile.
    const c10::MempoolId_t pool = at::cuda::graph_pool_handle();
    graph_ = std::make_unique<at::cuda::CUDAGraph>();
    bool once_more = false;
    try {
      graph_->capture_begin(pool, cudaStreamCaptureModeThreadLocal);
      work();
      graph_->capture_end();
      state_ = State::captured;
      return;
    } catch (const c10::OutOfMemoryError&) {
      once_more = !std::exchange(was_short_of_memory_, true);
      if (!once_more) refuse("there is no memory for a CUDA graph");
    } catch (const std::exception& e) {
      refuse(std::string("a CUDA graph could not be captured: ") + e.what());
    }
    abandon(pool);
    if (once_more) allocator::emptyCache();
    work();
  }

  void refuse(std::string why) {
    TORCH_WARN(why, "; its work is launched kernel by kernel");
    state_ = State::refused;
    refusal_ = std::move(why);
  }

  static bool succeeds(const auto& step) {
    try {
      step();
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }

  /// A capture that failed must still be ended, and if CUDA broke it off, libtorch does not hear of its end by itself:
  /// its allocators would go on asking the graph which memory is its own, its random numbers would wait for the graph.
  /// Steps that are not needed complain.
  void abandon(const c10::MempoolId_t& pool) {
    const bool ended = succeeds([&] { graph_->capture_end(); });
    succeeds([&] {
      allocator::endAllocateToPool(stream().device_index(), pool);
      allocator::releasePool(stream().device_index(), pool);
    });
    succeeds([&] { at::getHostAllocator(at::kCUDA)->end_allocate_to_pool(pool); });
    graph_.reset();
    if (ended) return;
    succeeds([] {
      at::cuda::CUDAGraph nothing;
      nothing.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
      at::zeros({1}, at::kCUDA);
      nothing.capture_end();
    });
  }

  /// On our stream, after what the current one was given before and before what it is given next, however the work
  /// ends.
  void aside(const std::function<void()>& work) {
    const auto outside = c10::cuda::getCurrentCUDAStream(stream().device_index());
    at::cuda::CUDAEvent begin, end;
    begin.record(outside);
    begin.block(stream());
    const auto rejoin = [&] {
      end.record(stream());
      end.block(outside);
    };
    try {
      const c10::cuda::CUDAStreamGuard inside(stream());
      work();
    } catch (...) {
      rejoin();
      throw;
    }
    rejoin();
  }

  const std::unique_ptr<LentStream> lent_;
  std::unique_ptr<at::cuda::CUDAGraph> graph_;
  State state_ = State::fresh;
  std::string refusal_;
  bool was_short_of_memory_ = false;
};

}  // namespace

std::unique_ptr<GraphExec> make_cuda_graph_exec(at::Device device) {
  auto stream = LentStream::take(device.index());
  return stream ? std::make_unique<CudaGraphExec>(std::move(stream)) : nullptr;
}

}  // namespace ingrain::ops
