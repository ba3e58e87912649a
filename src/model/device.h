// Where a model computes: what people call a device.
#pragma once

#include "model/gpus.h"
#include "ops/dual.h"

#include <string_view>

namespace ingrain {

/// The device that `name` means on this machine:
///   "cpu"
///   "cuda"    the first GPU
///   "cuda:N"  GPU number N, from 0
///   "auto"    the first GPU that the kernels run on; the CPU where there is none or the build has no CUDA kernels
/// OptionError of "device" for any other word, and for a GPU that is not there or that cannot be used.
at::Device parse_device(std::string_view name);

/// The same on a machine with these GPUs.
at::Device parse_device(std::string_view name, const Gpus& gpus);

/// Whether parse_device knows the word, on whatever machine.
bool is_device_name(std::string_view name);

/// Bytes that are free there; none for the CPU, where nobody can say.
std::optional<int64_t> free_memory(at::Device device);

/// `x` on `device`. From the CPU to a GPU it does not wait for what is queued there, as Tensor::to would; it goes
/// through pinned memory.
Tensor upload(const Tensor& x, at::Device device);

/// `x` in the host's memory, for upload() alone: nobody waits until its numbers are there. `x` where it is the CPU's.
Tensor download(const Tensor& x);

/// Room on the CPU for x's numbers as fp32, which copies from x's device reach without a detour.
Tensor room_for_download(const Tensor& x);

}  // namespace ingrain
