#include "base/error.h"
#include "eval/tap_record.h"
#include "eval/verify.h"
#include "store/reference_config.h"
#include "store/reference_layout.h"
#include "store/tensor_io.h"
#include "ops/backend.h"
#include "ops/linear/products.h"
#include "train/adamw.h"
#include "train/schedule.h"
#include "ttt/read.h"
#include "ttt/outer_batch.h"
#include "ttt/outer_gradient.h"

#include <cmath>
#include <regex>

namespace ingrain::eval {
namespace {

namespace fs = std::filesystem;
using formats::SafetensorsFile;

/// Everything that a case may ask for, computed here.
class GoldenCase {
 public:
  GoldenCase(const fs::path& folder, at::ScalarType compute, at::Device device)
      : config_(load_golden_config(folder / "config.json")), c_(config_.model), compute_(compute), device_(device) {
    const SafetensorsFile params(folder / "params.safetensors"), inputs(folder / "inputs.safetensors");
    master_ = convert(c_, from_reference(c_, [&](const std::string& name) { return read_tensor(params, name); }),
                      master_type(compute), device);
    tokens_3BT1_ = read_tensor(inputs, "tokens").to(device, at::kLong);
    require(tokens_3BT1_.dim() == 3 && tokens_3BT1_.size(2) > 1, "{}: 'tokens' must be [steps, B, T + 1]",
            folder.string());
    T_ = tokens_3BT1_.size(2) - 1;
  }

  /// Sequences read with learning, from step 0's data. Names: "meta", or "pretrain" without learning.
  void run_forward(const std::string& tag, bool learn) {
    const Network model{c_, convert(c_, master_, compute_, device_), ""};
    TapRecord record;
    ttt::Memory memory = ttt::empty_memory(model, tokens_3BT1_.size(1));
    ttt::ReadOptions options;
    options.learn = learn;
    options.prefill = T_ + 1;
    options.rate_multiplier = rate_multiplier(0);
    options.tap = record.tap();
    std::vector<Tensor> norms;
    options.on_step = [&](const ttt::StepReport& step, const ttt::Memory& after, const std::vector<Mlp>& g_S) {
      norms.push_back(step.norm_B.clone());
      keep_fast_weights(step.step, after.W_S, g_S);
    };
    const Tensor nll_BT = ttt::read(model, memory, tokens_3BT1_[0], options).nll_Bn.narrow(1, 1, T_);
    values_[tag + ".token_nll"] = nll_BT;
    const Tensor chunk_loss_BC = ttt::chunk_losses(c_, nll_BT, ttt::split_batch(c_, tokens_3BT1_[0], device_).valid_BT);
    values_[tag + ".chunk_loss"] = chunk_loss_BC;
    values_[tag + ".loss"] = chunk_loss_BC.mean(1);
    if (learn) {
      values_["inner.grad_norm"] = at::stack(norms, 1);
      values_["inner.ilr_multiplier"] = at::scalar_tensor(rate_multiplier(0));
      values_["inner.lr"] = at::scalar_tensor(c_.inner_lr * rate_multiplier(0));
      for (auto& [name, parts] : fast_) values_["fast." + name] = at::stack(parts, 1);
    }
    (tag == "meta" || !config_.meta ? taps_ : pretrain_taps_) = record;
    head_ = model.weights.head();
    stop_verifying();
  }

  /// Three steps of the outer loop on the three batches.
  void run_outer() {
    Weights master = master_;
    visit_parameters(c_, master, [](const std::string&, Tensor& x, ParameterKind) { x = x.clone(); });
    const train::Schedule schedule{config_.init_lr, config_.lr, config_.end_lr, config_.warmup, config_.decay};
    const train::AdamWOptions adamw{0.9, 0.95, 1e-8, config_.weight_decay, config_.clip, config_.decay_embedding};
    std::unique_ptr<train::AdamW> optimizer;
    GradientSums first(c_, master);
    std::map<std::string, std::vector<Tensor>> rows;
    for (int64_t i = 0; i < tokens_3BT1_.size(0); ++i) {
      // Gradients are summed into the first step's gradients, which the optimizer knows.
      const GradientSums gradients(c_, convert(c_, master, compute_, device_));
      ttt::GradientOptions options;
      options.rate_multiplier = rate_multiplier(i);
      options.pause = stop_verifying;
      const auto loss =
          (config_.meta ? ttt::meta_gradient : ttt::standard_gradient)(c_, gradients, tokens_3BT1_[i], options);
      const auto from = parameter_list(c_, gradients.sums()), to = parameter_list(c_, first.sums());
      for (size_t p = 0; p < to.size(); ++p) to[p].copy_(from[p]);
      if (i == 0)
        for (const auto& [name, g] : to_reference(c_, gradients.sums())) values_["outer.grad." + name] = g.clone();
      if (!optimizer) optimizer = std::make_unique<train::AdamW>(c_, master, first, adamw);
      const double lr = schedule.at(i), norm = optimizer->gradient_norm().item<double>();
      optimizer->step(lr, norm);
      rows["outer.loss"].push_back(loss.chunk_loss_BC.mean());
      rows["outer.chunk_loss"].push_back(loss.chunk_loss_BC.mean(0));
      rows["outer.token_nll"].push_back(loss.nll_BT.mean(0));
      rows["outer.lr"].push_back(at::scalar_tensor(lr));
      rows["outer.grad_norm_raw"].push_back(at::scalar_tensor(norm));
      rows["outer.grad_norm"].push_back(at::scalar_tensor(std::sqrt(norm * norm + 1e-5)));  // the official metric
    }
    for (const auto& [name, parts] : rows) values_[name] = at::stack(parts);
    for (const auto& [name, x] : to_reference(c_, master)) values_["outer.params3." + name] = x;
  }

  /// The value under the case's name for it; undefined if there is no such quantity.
  Tensor value(const std::string& name) const {
    if (const auto at = values_.find(name); at != values_.end()) return at->second;
    static const std::regex hidden(
        R"((pretrain\.)?hidden\.(embed|final_ln|logits|layer(\d+)\.(\w+))(?:\.(all|first(\d+)|chunk(\d+)))?)");
    std::smatch m;
    if (!std::regex_match(name, m, hidden)) return {};
    const TapRecord& taps = m[1].matched ? pretrain_taps_ : taps_;
    const std::string what = m[2];
    Tensor x = what == "embed"      ? taps.all("embed", -1)
               : what == "final_ln" ? taps.all("final_norm", -1)
               : what == "logits"   ? taps.all("final_norm", -1)
                                    : layer_value(taps, m[4], std::stoll(m[3]));
    if (!x.defined()) return {};
    x = x.narrow(1, 0, T_);
    if (m[6].matched) x = x.narrow(1, 0, std::stoll(m[6]));
    if (m[7].matched) x = x.narrow(1, std::stoll(m[7]) * c_.chunk, c_.chunk);
    if (what != "logits") return x;
    return ops::product_nt(x.reshape({-1, c_.hidden_size}), head_).view({x.size(0), x.size(1), -1});
  }

  const GoldenConfig& config() const { return config_; }

 private:
  double rate_multiplier(int64_t i) const {
    return train::InnerRateWarmup{config_.ilr_init, c_.inner_lr, config_.ilr_warmup}.multiplier(config_.step0 + i);
  }

  static Tensor layer_value(const TapRecord& taps, const std::string& what, int64_t layer) {
    if (what == "attn") return taps.all("attn", layer);
    if (what == "ffn_prime") return taps.all("fast", layer);
    if (what == "ffn") return taps.all("mlp", layer);
    if (what == "block_out") return taps.all("block", layer);
    if (what == "block_in") return layer == 0 ? taps.all("embed", -1) : taps.all("block", layer - 1);
    return {};
  }

  void keep_fast_weights(int64_t chunk, const std::vector<Mlp>& W_S, const std::vector<Mlp>& g_S) {
    const auto& wanted = config_.fast_chunks;
    if (std::find(wanted.begin(), wanted.end(), chunk) != wanted.end())
      for (const auto& [matrix, x] : fast_to_reference(W_S)) fast_[reference_fast_name(matrix)].push_back(x.clone());
    if (chunk == 0 || chunk == T_ / c_.chunk - 1)
      for (const auto& [matrix, g] : fast_to_reference(g_S))
        values_["inner_grad.chunk" + std::to_string(chunk) + "." + reference_fast_name(matrix)] = g.clone();
  }

  GoldenConfig config_;
  const ModelConfig& c_ = config_.model;
  at::ScalarType compute_;
  at::Device device_;
  Weights master_;
  Tensor tokens_3BT1_, head_;
  int64_t T_ = 0;
  std::map<std::string, Tensor> values_;
  std::map<std::string, std::vector<Tensor>> fast_;
  TapRecord taps_, pretrain_taps_;
};

Quantity kind_of(const std::string& name) {
  if (name.ends_with("token_nll")) return Quantity::nll;
  return name.ends_with("loss") ? Quantity::loss : Quantity::other;
}

/// Where the expected gradient is below 1e-7, Adam divides it by a number of its own size, so fp32's rounding alone
/// decides a good part of the step (lr * 1e-9 / 1e-8 and more). Such an entry counts as equal if it is off by no more
/// than the steps it could have made.
Tensor without_noise(const Tensor& params3, const Tensor& expected_params3, const Tensor& expected_gradient,
                     double rates) {
  const Tensor noise = (expected_gradient.abs() < 1e-7).logical_and_((params3 - expected_params3).abs() <= rates);
  return at::where(noise, expected_params3.to(params3.scalar_type()), params3);
}

/// All quantities of the expected file, from one run of the case.
std::vector<Comparison> compare_case(const fs::path& folder, const SafetensorsFile& expected, at::ScalarType compute,
                                     at::Device device) {
  GoldenCase run(folder, compute, device);
  if (run.config().meta) run.run_forward("meta", true);
  run.run_forward("pretrain", false);
  const auto& names = expected.tensors();
  if (std::any_of(names.begin(), names.end(), [](const auto& item) { return item.first.starts_with("outer."); }))
    run.run_outer();
  std::vector<Comparison> out;
  for (const auto& [name, entry] : names) {
    if (name == "fast_chunks") continue;  // says which chunks the fast weights are of
    const Tensor wanted = read_tensor(expected, name);
    Tensor value = run.value(name);
    const std::string params3 = "outer.params3.";
    if (name.starts_with(params3) && value.defined() && value.sizes() == wanted.sizes())
      value = without_noise(value.cpu(), wanted, read_tensor(expected, "outer.grad." + name.substr(params3.size())),
                            read_tensor(expected, "outer.lr").sum().item<double>());
    out.push_back(compare(name, value, wanted, kind_of(name), compute));
  }
  return out;
}

}  // namespace

std::vector<Comparison> verify_golden(const fs::path& folder, const VerifyOptions& options) {
  const bool own = options.dtype == "auto", own_bf16 = own && load_golden_config(folder / "config.json").bf16;
  const at::ScalarType compute =
      own ? (own_bf16 ? at::kBFloat16 : at::kFloat) : parse_compute_type(options.dtype, options.device);
  const bool bf16 = compute == at::kBFloat16;
  const fs::path rounded = folder / "expected_noexcess.safetensors";
  if (!bf16 || !fs::exists(rounded))
    return compare_case(folder, SafetensorsFile(folder / "expected.safetensors"), compute, options.device);
  // Hidden states in bf16 depend on every rounding. The reference formulas round where the expected run did; the
  // kernels keep more (attention's weights stay fp32), so of them the losses and scores are compared.
  const SafetensorsFile expected(rounded);
  std::vector<Comparison> out;
  if (!options.reference_ops)
    for (Comparison& c : compare_case(folder, expected, at::kBFloat16, options.device))
      if (kind_of(c.name) != Quantity::other) out.push_back(std::move(c));
  const ops::ReferenceScope scope;
  for (Comparison& c : compare_case(folder, expected, at::kBFloat16, options.device)) {
    c.name += "  (reference formulas)";
    out.push_back(std::move(c));
  }
  return out;
}

}  // namespace ingrain::eval
