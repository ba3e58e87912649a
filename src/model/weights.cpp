#include "model/weights.h"

#include "model/kept_as.h"
#include "ops/memory/arena.h"

#include <ATen/CPUGeneratorImpl.h>

namespace ingrain {
namespace {

/// Makes room for what `config` has, so that the table's members exist.
void resize(const ModelConfig& config, Weights& weights) {
  weights.blocks.resize(static_cast<size_t>(config.num_layers));
  weights.fast_S.resize(static_cast<size_t>(config.suffix_len));
}

at::ScalarType type_of(ParameterKind kind, at::ScalarType compute) {
  switch (kind) {
    case ParameterKind::embedding:
    case ParameterKind::matrix:
    case ParameterKind::bias: return compute;
    case ParameterKind::norm:
    case ParameterKind::fast:
    case ParameterKind::rate: break;
  }
  return master_type(compute);
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
  resize(config, weights);
  for_each_parameter(config, [&](const Parameter& parameter, int64_t layer) {
    visit(full_name(parameter, layer), parameter.member(weights, layer), parameter.kind);
  });
}

namespace {

Weights make_weights_on(const ModelConfig& config, at::ScalarType compute, at::Device device, const KeptAs& kept_as) {
  Weights out;
  resize(config, out);
  struct Planned {
    Tensor* place;
    std::vector<KeptRows> kept;
    int64_t columns;
  };
  std::vector<Planned> parameters;
  std::vector<ops::cpu::Shape> shapes;
  const auto plan = [&](const Parameter& parameter, int64_t layer) {
    const std::vector<int64_t> sizes = shape_of(parameter, config);
    const auto& [place, kept, columns] = parameters.emplace_back(Planned{
        &parameter.member(out, layer), kept_as ? kept_as(parameter, layer) : std::vector<KeptRows>(), sizes.back()});
    for (const auto& [format, rows] : kept) shapes.push_back({{rows, ops::row_bytes(*format, columns)}, at::kByte});
    if (kept.empty()) shapes.push_back({sizes, type_of(parameter.kind, compute)});
  };
  // A tied embedding is read whole where the head is, at a token's end.
  const bool last = config.tie_embeddings && kept_as;
  for_each_parameter(config, [&](const Parameter& parameter, int64_t layer) {
    if (!last || parameter.kind != ParameterKind::embedding) plan(parameter, layer);
  });
  for_each_parameter(config, [&](const Parameter& parameter, int64_t layer) {
    if (last && parameter.kind == ParameterKind::embedding) plan(parameter, layer);
  });
  const std::vector<Tensor> tensors = empty_tensors(shapes, device);
  size_t next = 0;
  for (const auto& [place, kept, columns] : parameters) {
    std::vector<ops::QuantizedRows> parts;
    for (const auto& [format, rows] : kept) parts.push_back({format, tensors[next++]});
    *place = parts.empty() ? tensors[next++] : ops::quantized_matrix(std::move(parts), columns, compute);
  }
  return out;
}

}  // namespace

Weights make_weights(const ModelConfig& config, at::ScalarType compute, at::Device device) {
  return make_weights_on(config, compute, device, {});
}

Weights make_weights(const ModelConfig& config, at::ScalarType compute, const KeptAs& kept_as) {
  return make_weights_on(config, compute, at::kCPU, kept_as);
}

void fill_initial(const ModelConfig& config, Weights& weights, const at::Generator& generator) {
  resize(config, weights);
  for_each_parameter(config, [&](const Parameter& parameter, int64_t layer) {
    Tensor& tensor = parameter.member(weights, layer);
    if (parameter.initial) return parameter.initial(tensor, generator);
    switch (parameter.kind) {
      case ParameterKind::norm:
      case ParameterKind::rate: tensor.fill_(1); break;
      case ParameterKind::bias: tensor.zero_(); break;
      case ParameterKind::embedding:
      case ParameterKind::matrix:
      case ParameterKind::fast: tensor.normal_(0, config.init_std, generator); break;
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
