#include "ops/graph/graph.h"

#include <array>

namespace ingrain::ops {
namespace {

MakeReplayer& maker(c10::DeviceType type) {
  static std::array<MakeReplayer, c10::COMPILE_TIME_MAX_DEVICE_TYPES> makers = [] {
    decltype(makers) out{};
    out[static_cast<size_t>(c10::kCPU)] = make_cpu_replayer;
    out[static_cast<size_t>(c10::kCUDA)] = make_cuda_replayer;
    return out;
  }();
  return makers.at(static_cast<size_t>(type));
}

}  // namespace

void register_replayer(c10::DeviceType type, MakeReplayer make) { maker(type) = make; }

std::unique_ptr<Replayer> make_replayer(c10::Device device) {
  const MakeReplayer make = maker(device.type());
  return make ? make(device) : nullptr;
}

}  // namespace ingrain::ops
