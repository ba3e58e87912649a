#include "model/weights.h"

#include "ops/memory/arena.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

namespace ingrain {
namespace {

/// The visit with shapes, from which all else follows.
using ShapeVisitor = std::function<void(const std::string&, Tensor&, ParameterKind, std::vector<int64_t>)>;

void visit_shapes(const ModelConfig& c, Weights& w, const ShapeVisitor& visit) {
  using Kind = ParameterKind;
  const int64_t D = c.hidden_size, heads = c.num_heads * c.head_dim, kv = c.num_kv_heads * c.head_dim;
  w.blocks.resize(static_cast<size_t>(c.num_layers));
  w.fast_S.resize(static_cast<size_t>(c.suffix_len));
  visit("embedding", w.embedding_VD, Kind::embedding, {c.vocab_size, D});
  for (int64_t i = 0; i < c.num_layers; ++i) {
    BlockWeights& b = w.blocks[static_cast<size_t>(i)];
    const std::string at = fmt::format("blocks.{}.", i);
    visit(at + "attn_norm", b.attn_norm_D, Kind::norm, {D});
    visit(at + "wqkv", b.wqkv_CD, Kind::matrix, {heads + 2 * kv, D});
    if (c.qkv_bias) visit(at + "bqkv", b.bqkv_C, Kind::matrix, {heads + 2 * kv});
    if (c.qk_norm) visit(at + "q_norm", b.q_norm_d, Kind::norm, {c.head_dim});
    if (c.qk_norm) visit(at + "k_norm", b.k_norm_d, Kind::norm, {c.head_dim});
    visit(at + "wo", b.wo_DC, Kind::matrix, {D, heads});
    if (c.post_norm) visit(at + "attn_post_norm", b.attn_post_norm_D, Kind::norm, {D});
    if (i >= c.prefix_len()) {
      Mlp& fast = w.fast_S[static_cast<size_t>(i - c.prefix_len())];
      visit(at + "fast_norm", b.fast_norm_D, Kind::norm, {D});
      visit(at + "fast.w13", fast.w13_FD, Kind::fast, {2 * c.fast_mlp_size, D});
      visit(at + "fast.w2", fast.w2_DF, Kind::fast, {D, c.fast_mlp_size});
      if (c.fast_post_norm) visit(at + "fast_post_norm", b.fast_post_norm_D, Kind::norm, {D});
    }
    visit(at + "mlp_norm", b.mlp_norm_D, Kind::norm, {D});
    visit(at + "mlp.w13", b.mlp.w13_FD, Kind::matrix, {2 * c.mlp_size, D});
    visit(at + "mlp.w2", b.mlp.w2_DF, Kind::matrix, {D, c.mlp_size});
    if (c.post_norm) visit(at + "mlp_post_norm", b.mlp_post_norm_D, Kind::norm, {D});
  }
  if (c.learned_inner_rates && c.suffix_len > 0) visit("inner_rate", w.inner_rate_S, Kind::rate, {c.suffix_len});
  visit("final_norm", w.final_norm_D, Kind::norm, {D});
  if (!c.tie_embeddings) visit("head", w.head_VD, Kind::matrix, {c.vocab_size, D});
}

at::ScalarType type_of(ParameterKind kind, at::ScalarType compute) {
  const bool in_compute_type = kind == ParameterKind::embedding || kind == ParameterKind::matrix;
  return in_compute_type ? compute : master_type(compute);
}

/// On the CPU all in one piece of memory, in the order in which a token meets them.
std::vector<Tensor> empty_tensors(const std::vector<ops::cpu::Shape>& shapes, at::Device device) {
  if (device.is_cpu()) return ops::cpu::empty_side_by_side(shapes);
  std::vector<Tensor> out;
  for (const auto& shape : shapes)
    out.push_back(at::empty(shape.sizes, at::TensorOptions().dtype(shape.type).device(device)));
  return out;
}

void fill_in(const std::vector<Tensor*>& places, const std::vector<Tensor>& tensors) {
  for (size_t i = 0; i < tensors.size(); ++i) *places[i] = tensors[i];
}

}  // namespace

void visit_parameters(const ModelConfig& config, Weights& weights, const ParameterVisitor& visit) {
  visit_shapes(config, weights, [&](const std::string& name, Tensor& tensor, ParameterKind kind, const auto&) {
    visit(name, tensor, kind);
  });
}

Weights make_weights(const ModelConfig& config, at::ScalarType compute, at::Device device) {
  Weights out;
  std::vector<Tensor*> parameters;
  std::vector<ops::cpu::Shape> shapes;
  visit_shapes(config, out, [&](const std::string&, Tensor& tensor, ParameterKind kind, std::vector<int64_t> shape) {
    parameters.push_back(&tensor);
    shapes.push_back({std::move(shape), type_of(kind, compute)});
  });
  fill_in(parameters, empty_tensors(shapes, device));
  return out;
}

void fill_initial(const ModelConfig& config, Weights& weights, const at::Generator& generator) {
  visit_parameters(config, weights, [&](const std::string& name, Tensor& tensor, ParameterKind kind) {
    const bool bias = name.ends_with("bqkv");
    if (kind == ParameterKind::norm || kind == ParameterKind::rate) {
      tensor.fill_(1);
    } else if (bias) {
      tensor.zero_();
    } else {
      tensor.normal_(0, config.init_std, generator);
    }
  });
}

Weights initial_weights(const ModelConfig& config, uint64_t seed) {
  Weights out = make_weights(config, at::kFloat);
  fill_initial(config, out, at::make_generator<at::CPUGeneratorImpl>(seed));
  return out;
}

Weights convert(const ModelConfig& config, const Weights& weights, at::ScalarType compute, at::Device device) {
  Weights out = weights;
  std::vector<Tensor*> parameters;
  std::vector<ops::cpu::Shape> shapes;
  visit_parameters(config, out, [&](const std::string&, Tensor& tensor, ParameterKind kind) {
    const at::ScalarType type = type_of(kind, compute);
    if (tensor.device() == device && tensor.scalar_type() == type) return;
    parameters.push_back(&tensor);
    shapes.push_back({tensor.sizes().vec(), type});
  });
  const std::vector<Tensor> converted = empty_tensors(shapes, device);
  for (size_t i = 0; i < converted.size(); ++i) converted[i].copy_(*parameters[i]);
  fill_in(parameters, converted);
  return out;
}

std::vector<Tensor> parameter_list(const ModelConfig& config, const Weights& weights) {
  std::vector<Tensor> out;
  Weights copy = weights;
  visit_parameters(config, copy, [&](const std::string&, Tensor& tensor, ParameterKind) { out.push_back(tensor); });
  return out;
}

}  // namespace ingrain
