#include "ops/graph/graph.h"

#include <fmt/format.h>

#include <array>

namespace ingrain::ops {
namespace {

MakeGraphExec& maker(c10::DeviceType type) {
  static std::array<MakeGraphExec, c10::COMPILE_TIME_MAX_DEVICE_TYPES> makers = [] {
    decltype(makers) out{};
    out[static_cast<size_t>(c10::kCPU)] = make_cpu_graph_exec;
    out[static_cast<size_t>(c10::kCUDA)] = make_cuda_graph_exec;
    return out;
  }();
  return makers.at(static_cast<size_t>(type));
}

}  // namespace

void register_graph_exec(c10::DeviceType type, MakeGraphExec make) { maker(type) = make; }

std::unique_ptr<GraphExec> make_graph_exec(c10::Device device) {
  const MakeGraphExec make = maker(device.type());
  return make ? make(device) : nullptr;
}

std::string Graph::refusal() const {
  return exec_ ? exec_->refusal() : fmt::format("nothing captures work on {}", device_.str());
}

}  // namespace ingrain::ops
