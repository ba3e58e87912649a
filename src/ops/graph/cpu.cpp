// Work that repeats on the CPU (ops/graph/graph.h): its capture, and what makes sure that nothing is missing from it.
#include "ops/graph/capture.h"
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
  Capture* const capture = Capture::current();
  if (capture && !computes_nothing(operation.name())) capture->refuse(operation.name());
  return nullptr;
}

/// Tells the calling thread's capture what libtorch computes: it would lack it.
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

/// The first run is captured, later ones are launches. Work that asks libtorch for anything but memory and views is
/// done every time.
class CpuGraphExec : public GraphExec {
 public:
  void run(const std::function<void()>& work) override {
    refuse_capture("work that repeats by itself");
    if (state_ == State::captured) return capture_.launch();
    if (state_ == State::refused) return work();
    capture_ = {};  // of a first run that failed
    {
      const Watch watch;
      const Capture::Scope scope(&capture_);
      work();
    }
    if (capture_.refusal().empty()) {
      state_ = State::captured;
    } else {
      state_ = State::refused;
      refusal_ = capture_.refusal() + " cannot be part of a graph";
      capture_ = {};
    }
  }
  bool captured() const override { return state_ == State::captured; }
  std::string refusal() const override { return refusal_; }

 private:
  enum class State { fresh, captured, refused };
  State state_ = State::fresh;
  std::string refusal_;
  Capture capture_;
};

}  // namespace
}  // namespace cpu

std::unique_ptr<GraphExec> make_cpu_graph_exec(c10::Device) { return std::make_unique<cpu::CpuGraphExec>(); }

}  // namespace ingrain::ops
