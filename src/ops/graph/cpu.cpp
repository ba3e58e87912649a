// Work that repeats on the CPU (ops/graph/graph.h): its recording, and what makes sure that nothing is missing from it.
#include "ops/graph/recording.h"
#include "ops/graph/graph.h"

#include <ATen/record_function.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace ingrain::ops {
namespace cpu {
namespace {

/// Operations of libtorch that make tensors or look at them differently, without computing a number. Those that copy
/// where they must (reshape, to, contiguous) do it by another operation, which is seen by itself.
bool computes_nothing(std::string_view operation) {
  constexpr auto kNothing = std::to_array<std::string_view>(
      {"aten::empty",     "aten::empty_like",     "aten::empty_strided", "aten::new_empty", "aten::view",
       "aten::reshape",   "aten::_reshape_alias", "aten::select",        "aten::slice",     "aten::narrow",
       "aten::squeeze",   "aten::unsqueeze",      "aten::flatten",       "aten::expand",    "aten::t",
       "aten::transpose", "aten::permute",        "aten::as_strided",    "aten::alias",     "aten::detach",
       "aten::to",        "aten::contiguous"});
  return std::ranges::find(kNothing, operation) != kNothing.end();
}

std::unique_ptr<at::ObserverContext> watch(const at::RecordFunction& operation) {
  Recording* const recording = Recording::current();
  if (recording && !computes_nothing(operation.name())) recording->refuse(operation.name());
  return nullptr;
}

/// Tells the calling thread's recordings what libtorch computes: they would lack it.
class Watch {
 public:
  Watch()
      : handle_(at::addThreadLocalCallback(at::RecordFunctionCallback(watch).scopes({at::RecordScope::FUNCTION}))) {}
  ~Watch() { at::removeCallback(handle_); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  const at::RecordFunctionGuard on_{true};  // whatever the program around us chose
  const at::CallbackHandle handle_;
};

/// The first run is recorded, later ones are replayed. Work that asks libtorch for anything but memory and views is
/// done every time.
class CpuReplayer : public Replayer {
 public:
  void run(const std::function<void()>& work) override {
    refuse_recording("work that repeats by itself");
    if (state_ == State::recorded) return recording_.replay();
    if (state_ == State::refused) return work();
    recording_ = {};  // of a first run that failed
    {
      const Watch watch;
      const Recording::Scope scope(&recording_);
      work();
    }
    state_ = recording_.refusal().empty() ? State::recorded : State::refused;
    if (state_ == State::refused) recording_ = {};
  }

 private:
  enum class State { fresh, recorded, refused };
  State state_ = State::fresh;
  Recording recording_;
};

}  // namespace
}  // namespace cpu

std::unique_ptr<Replayer> make_cpu_replayer(c10::Device) { return std::make_unique<cpu::CpuReplayer>(); }

}  // namespace ingrain::ops
