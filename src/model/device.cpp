#include "model/device.h"

#include "base/option_error.h"
#include "base/text.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace ingrain {
namespace {

constexpr int kLeastCapability = 80;  // bf16 on tensor cores: A100 and later

/// The N of "cuda:N", 0 for "cuda".
std::optional<size_t> gpu_number(std::string_view name) {
  constexpr std::string_view kAny = "cuda", kNumbered = "cuda:";
  if (name == kAny) return 0;
  if (!name.starts_with(kNumbered)) return std::nullopt;
  size_t number = 0;
  const char* const end = name.data() + name.size();
  const auto [at, error] = std::from_chars(name.data() + kNumbered.size(), end, number);
  return error == std::errc() && at == end ? std::optional(number) : std::nullopt;
}

at::Device gpu(size_t number) { return {at::kCUDA, static_cast<at::DeviceIndex>(number)}; }

at::Device best_device(const Gpus& gpus) {
  const auto& all = gpus.capabilities;
  const auto first =
      std::find_if(all.begin(), all.end(), [](int capability) { return capability >= kLeastCapability; });
  return gpus.kernels && first != all.end() ? gpu(static_cast<size_t>(first - all.begin())) : at::kCPU;
}

}  // namespace

bool is_device_name(std::string_view name) { return name == "auto" || name == "cpu" || gpu_number(name); }

at::Device parse_device(std::string_view name, const Gpus& gpus) {
  if (name == "auto") return best_device(gpus);
  if (name == "cpu") return at::kCPU;
  const std::string option = "device";
  const auto number = gpu_number(name);
  if (!number)
    fail_option(option, "'{}' is not known; choose auto, cpu, cuda (the first GPU) or cuda:N (GPU number N, from 0)",
                printable(name));
  if (!gpus.kernels)
    fail_option(
        option,
        "{}: this build has no CUDA kernels: build with nvcc on the PATH and a torch with CUDA, docs/install.md", name);
  const auto& all = gpus.capabilities;
  if (all.empty())
    fail_option(option,
                "{}: no GPU was found; see whether nvidia-smi lists one and its driver is new enough for this CUDA, or "
                "choose cpu",
                name);
  if (*number >= all.size()) fail_option(option, "{}: the last GPU here is cuda:{}", name, all.size() - 1);
  const int capability = all[*number];
  if (capability < kLeastCapability)
    fail_option(option,
                "{}: this GPU has compute capability {}.{}; the kernels need {}.{} or more (A100 and later); choose "
                "another, or cpu",
                name, capability / 10, capability % 10, kLeastCapability / 10, kLeastCapability % 10);
  return gpu(*number);
}

at::Device parse_device(std::string_view name) {
  // The driver takes a moment to answer; who wants the CPU need not wait for it.
  return parse_device(name, name == "cpu" ? Gpus{} : find_gpus());
}

std::optional<int64_t> free_memory(at::Device device) {
  return device.is_cuda() ? free_gpu_memory(device.index()) : std::nullopt;
}

Tensor upload(const Tensor& x, at::Device device) {
  if (!x.is_cpu() || device.is_cpu()) return x.to(device);
  return x.pin_memory().to(device, x.scalar_type(), /*non_blocking=*/true);
}

Tensor download(const Tensor& x) {
  if (x.is_cpu()) return x;
  return at::empty(x.sizes(), at::TensorOptions().dtype(x.dtype()).pinned_memory(x.is_cuda())).copy_(x, true);
}

Tensor room_for_download(const Tensor& x) {
  return at::empty(x.sizes(), at::TensorOptions().dtype(at::kFloat).pinned_memory(x.is_cuda()));
}

}  // namespace ingrain
