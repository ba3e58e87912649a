#include "other_device/recorder.h"

#include "ops/graph/graph.h"
#include "other_device/device.h"

#include <atomic>
#include <mutex>
#include <unordered_set>
#include <vector>

namespace ingrain::test {
namespace {

/// What is being noted, by whichever thread.
struct Recording {
  std::mutex lock;
  std::vector<std::function<void()>> steps;
  std::unordered_set<const void*> made;
};
std::atomic<Recording*> g_recording{nullptr};
std::atomic<int64_t> g_replays{0};
thread_local int t_within = 0;

class Recorder final : public ops::GraphExec {
 public:
  void run(const std::function<void()>& work) override {
    if (runs_++ == 0) return work();
    if (!recorded_) return first_time(work);
    const at::NoGradGuard no_grad;
    for (const auto& step : steps_) step();
    ++g_replays;
  }
  bool captured() const override { return recorded_; }

 private:
  void first_time(const std::function<void()>& work) {
    Recording recording;
    g_recording = &recording;
    try {
      work();
    } catch (...) {
      g_recording = nullptr;
      throw;
    }
    g_recording = nullptr;
    steps_ = std::move(recording.steps);
    recorded_ = true;
  }

  int64_t runs_ = 0;
  bool recorded_ = false;
  std::vector<std::function<void()>> steps_;
};

const bool g_recorder_registered =
    (ops::register_graph_exec(
         kOther.type(), [](at::Device) -> std::unique_ptr<ops::GraphExec> { return std::make_unique<Recorder>(); }),
     true);

}  // namespace

int64_t replays() { return g_replays; }

WithinOperation::WithinOperation() { ++t_within; }
WithinOperation::~WithinOperation() { --t_within; }

bool recording() { return g_recording != nullptr && t_within == 0; }

void record(std::function<void()> again) {
  Recording& to = *g_recording;
  const std::lock_guard lock(to.lock);
  to.steps.push_back(std::move(again));
}

void not_while_recording(const char* what) { TORCH_CHECK(!recording(), what, " while a graph is recorded"); }

void not_from_outside(const char* what, const void* storage) {
  if (!recording()) return;
  Recording& in = *g_recording;
  const std::lock_guard lock(in.lock);
  TORCH_CHECK(in.made.contains(storage), what, " of memory from outside while a graph is recorded");
}

void allocated(void* storage) {
  Recording* const in = g_recording;
  if (!in) return;
  const std::lock_guard lock(in->lock);
  in->made.insert(storage);
}

}  // namespace ingrain::test
