// Takes the place of src/ops/backend.cpp and src/ops/cuda/device.cu in this test program: tensors on the CPU go to the
// CUDA kernels, which the emulator runs.
#include "ops/backend.h"

#include "cuda_on_cpu/emulator.h"
#include "ops/simd/targets.h"
#include "ops/cuda/device.h"
#include "ops/graph/graph.h"
#include "ops/linear/products.h"

#include <hwy/targets.h>

namespace ingrain::ops {
namespace {

int g_reference_scopes = 0;

/// The table repeats itself for every instruction set of the processor, which is nothing to the emulator. Only the
/// fallback of targets.h is left: Highway's own static target (SSE2 since 1.0.7) is none of ours, and the table would
/// run for no set at all.
const bool g_one_instruction_set = (hwy::DisableTargets(~int64_t{HWY_STATIC_TARGET}), true);

}  // namespace

Backend backend_for(const Tensor& x) {
  const at::ScalarType type = x.scalar_type();
  const bool has_kernels = type == at::kFloat || type == at::kBFloat16;
  return has_kernels && g_reference_scopes == 0 ? Backend::cuda : Backend::reference;
}
ReferenceScope::ReferenceScope() { ++g_reference_scopes; }
ReferenceScope::~ReferenceScope() { --g_reference_scopes; }

/// In place of cuBLAS.
const ProductKernels product_cuda = product_cpu;

/// Nothing is captured here: work is done anew every time.
std::unique_ptr<GraphExec> make_cuda_graph_exec(at::Device) { return nullptr; }

namespace cuda {

DeviceScope::DeviceScope(int index) : index_(index), previous_(index) {}
DeviceScope::~DeviceScope() = default;
Stream DeviceScope::stream() const { return nullptr; }
size_t DeviceScope::shared_memory() const { return test::gpu::kSharedMemory; }

}  // namespace cuda
}  // namespace ingrain::ops
