#include "ops/cuda/device.h"
#include "ops/cuda/tensors.h"
#include "ops/sgd/cuda.h"
#include "ops/sgd/sgd.h"

#include <algorithm>

namespace ingrain::ops {
namespace {

/// A launch's tensors, and where their blocks and their rates start among all of them.
struct Group {
  cuda::SgdTensors tensors{};
  int64_t first_block = 0, first_tensor = 0;

  int64_t blocks() const { return tensors.first_block[tensors.count]; }
  void add(const Tensor& w_B, const Tensor& g_B, const Tensor& out_B, const Tensor& rounded_B) {
    const int i = tensors.count++;
    const int64_t n = w_B.numel() / w_B.size(0);
    tensors.w[i] = w_B.const_data_ptr<float>();
    tensors.g[i] = g_B.const_data_ptr<float>();
    tensors.out[i] = out_B.data_ptr<float>();
    tensors.rounded[i] = rounded_B.defined() ? rounded_B.data_ptr<at::BFloat16>() : nullptr;
    tensors.numbers[i] = n;
    tensors.first_block[i + 1] = tensors.first_block[i] + cuda::divide_up(n, cuda::kBlockNumbers);
  }
};

std::vector<Group> groups_of(const std::vector<Tensor>& w_B, const std::vector<Tensor>& g_B,
                             const std::vector<Tensor>& out_B, const std::vector<Tensor>& rounded_B) {
  std::vector<Group> groups(1);
  for (size_t i = 0; i < w_B.size(); ++i) {
    const Tensor rounded = rounded_B.empty() ? Tensor() : rounded_B[i];
    if (groups.back().tensors.count == cuda::kTensorsAtOnce) {
      const Group& last = groups.back();
      Group next;
      next.first_block = last.first_block + last.blocks();
      next.first_tensor = static_cast<int64_t>(i);
      groups.push_back(next);
    }
    groups.back().add(w_B[i], g_B[i], out_B[i], rounded);
  }
  return groups;
}

Tensor step(const std::vector<Tensor>& w_B, const std::vector<Tensor>& g_in_B, const Tensor& eta_N, double clip,
            const std::vector<Tensor>& out_B, const std::vector<Tensor>& rounded_B) {
  const int64_t B = w_B[0].size(0);
  const auto floats = w_B[0].options();
  std::vector<Tensor> g_B;
  for (const Tensor& g : g_in_B) g_B.push_back(g.contiguous());
  if (B == 0) return at::zeros({0}, floats);
  const std::vector<Group> groups = groups_of(w_B, g_B, out_B, rounded_B);
  const int64_t blocks = groups.back().first_block + groups.back().blocks();
  if (blocks == 0) return at::zeros({B}, floats);
  const Tensor partial = at::empty({B, blocks}, floats), norm_B = at::empty({B}, floats);
  const Tensor eta = eta_N.to(at::kFloat).contiguous();

  const cuda::DeviceScope device(w_B[0].device().index());
  for (const Group& g : groups)
    if (g.blocks() > 0)
      cuda::sum_of_squares(g.tensors, B, partial.data_ptr<float>(), g.first_block, blocks, device.stream());
  cuda::norms(partial.const_data_ptr<float>(), B, blocks, norm_B.data_ptr<float>(), device.stream());
  for (const Group& g : groups)
    if (g.blocks() > 0)
      cuda::clipped_step(g.tensors, B, norm_B.const_data_ptr<float>(), eta.const_data_ptr<float>() + g.first_tensor,
                         static_cast<float>(clip), device.stream());
  return norm_B;
}

}  // namespace

const SgdKernels sgd_cuda{step};

}  // namespace ingrain::ops
