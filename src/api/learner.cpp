#include "ingrain/learner.h"

#include "api/parts.h"
#include "base/error.h"
#include "base/json.h"
#include "model/device.h"
#include "model/parameters.h"
#include "store/model_files.h"
#include "store/model_tokenizer.h"
#include "ttt/outer_batch.h"
#include "ttt/outer_gradient.h"
#include "ttt/read.h"

#include <ATen/CPUGeneratorImpl.h>
#include <nlohmann/json.hpp>

namespace ingrain {
namespace {

/// The caller's tensors as weights, each where it is.
Weights assembled(const ModelConfig& config, const std::vector<Tensor>& parameters) {
  Weights out;
  size_t next = 0;
  visit_parameters(config, out, [&](const std::string&, Tensor&, ParameterKind) { ++next; });
  require(parameters.size() == next, "{} parameters were given; the model has {}", parameters.size(), next);
  next = 0;
  for_each_parameter(config, [&](const Parameter& parameter, int64_t layer) {
    const Tensor& x = parameters[next++];
    const std::vector<int64_t> shape = shape_of(parameter, config);
    require(x.defined() && x.sizes() == shape, "{}: a parameter of shape [{}] was given; the model's has [{}]",
            full_name(parameter, layer), x.defined() ? fmt::format("{}", fmt::join(x.sizes(), ", ")) : "none",
            fmt::join(shape, ", "));
    require(x.device() == parameters[0].device(), "{}: it is on {}, {} on {}; put the whole model on one device",
            full_name(parameter, layer), x.device().str(), "the first parameter", parameters[0].device().str());
    parameter.member(out, layer) = x.detach().contiguous();
  });
  return out;
}

/// Weights to compute with: the given ones themselves where their types are right.
Weights computing(const ModelConfig& config, const std::vector<Tensor>& parameters, const LossOptions& options) {
  Weights out = assembled(config, parameters);
  const at::Device device = out.device();
  return convert(config, out, options.dtype.empty() ? out.type() : parse_compute_type(options.dtype, device), device);
}

}  // namespace

struct Learner::State {
  ModelConfig config;
  std::filesystem::path from;  // empty: drawn
};

Learner Learner::load(const std::filesystem::path& model, const std::string& dtype, const std::string& device,
                      NamedTensors& parameters) {
  const at::Device there = parse_device(device);
  const Network network = load_model(model, parse_compute_type(dtype, there), there);
  parameters = named(network.config, network.weights);
  return Learner(std::make_shared<const State>(State{network.config, model}));
}

Learner Learner::draw(std::string_view config, uint64_t seed, const std::string& dtype, const std::string& device,
                      NamedTensors& parameters) {
  const ModelConfig c = parse_config(parse_json(config, "config"), "config");
  const at::Device there = parse_device(device);
  parameters = named(c, convert(c, initial_weights(c, seed), parse_compute_type(dtype, there), there));
  return Learner(std::make_shared<const State>(State{c, {}}));
}

Learner Learner::of(std::string_view config, const std::filesystem::path& from) {
  return Learner(std::make_shared<const State>(State{parse_config(parse_json(config, "config"), "config"), from}));
}

std::string Learner::config() const { return to_json(state_->config).dump(2); }
int64_t Learner::chunk() const { return state_->config.chunk; }
int64_t Learner::vocab_size() const { return state_->config.vocab_size; }

SequenceLoss Learner::loss(const std::vector<at::Tensor>& parameters, const at::Tensor& tokens_BT1,
                           const LossOptions& options) const {
  const ModelConfig& c = state_->config;
  const Network network{c, computing(c, parameters, options), ""};
  const ttt::OuterBatch batch = ttt::split_batch(c, tokens_BT1, network.weights.device());
  ttt::Memory memory = ttt::empty_memory(network, tokens_BT1.size(0));
  ttt::ReadOptions reading;
  reading.learn = options.through_steps;
  reading.rate_multiplier = options.rate_multiplier;
  reading.finite = false;  // as of gradient(): the caller sees the loss
  SequenceLoss out;
  out.nll_BT = ttt::read(network, memory, tokens_BT1, reading).nll_Bn.narrow(1, 1, tokens_BT1.size(1) - 1);
  out.chunk_loss_BC = ttt::chunk_losses(c, out.nll_BT, batch.valid_BT);
  out.loss = out.chunk_loss_BC.mean();
  return out;
}

SequenceLoss Learner::gradient(const std::vector<at::Tensor>& parameters, const std::vector<bool>& wanted,
                               const at::Tensor& tokens_BT1, const LossOptions& options) const {
  const ModelConfig& c = state_->config;
  const Weights weights = computing(c, parameters, options);
  require(wanted.size() == parameters.size(), "{} parameters, but {} answers whether their gradients are wanted",
          parameters.size(), wanted.size());
  size_t next = 0;  // GradientSums asks for each parameter, in order, several times over
  std::map<std::string, bool> trained;
  for_each_parameter(c, [&](const Parameter& p, int64_t layer) { trained[full_name(p, layer)] = wanted[next++]; });
  const GradientSums sums(c, weights, [&](const std::string& name) { return trained.at(name); });

  ttt::GradientOptions how;
  how.rate_multiplier = options.rate_multiplier;
  how.recompute = options.recompute ? ttt::Recompute::always : ttt::Recompute::never;
  how.keep_bytes = options.kept_mib << 20;
  const bool meta = options.through_steps && c.suffix_len > 0;
  if (meta) ttt::require_meta_trainable(c, "the gradient through inner steps");
  const ttt::OuterLoss loss = (meta ? ttt::meta_gradient : ttt::standard_gradient)(c, sums, tokens_BT1, how);
  return {loss.chunk_loss_BC.mean(), loss.chunk_loss_BC, loss.nll_BT, loss.inner_norm_BC,
          parameter_list(c, sums.sums())};
}

void Learner::save(const std::filesystem::path& folder, const std::vector<at::Tensor>& parameters,
                   const std::string& dtype) const {
  const ModelConfig& c = state_->config;
  const Weights weights = convert(c, assembled(c, parameters), at::kFloat);
  save_model(folder, c, weights, parse_compute_type(dtype));
  if (!state_->from.empty()) copy_tokenizer(state_->from, folder);
}

}  // namespace ingrain
