#include "model/network.h"

#include "base/error.h"
#include "base/option_error.h"
#include "base/text.h"
#include "ops/simd/processor.h"

namespace ingrain {
namespace {

constexpr std::pair<const char*, at::ScalarType> kComputeTypes[] = {
    {"fp32", at::kFloat}, {"bf16", at::kBFloat16}, {"fp64", at::kDouble}};

}  // namespace

at::ScalarType native_compute_type(at::Device device) {
  return device.is_cuda() || ops::has_native_bf16() ? at::kBFloat16 : at::kFloat;
}

at::ScalarType parse_compute_type(std::string_view name, at::Device device) {
  if (name == "auto") return native_compute_type(device);
  for (const auto& [known, type] : kComputeTypes)
    if (name == known) return type;
  fail_option("dtype", "'{}' is not known; choose auto, fp32, bf16 or fp64", printable(name));
}

std::string compute_type_name(at::ScalarType type) {
  for (const auto& [name, known] : kComputeTypes)
    if (type == known) return name;
  fail("models do not compute in {}", c10::toString(type));
}

}  // namespace ingrain
