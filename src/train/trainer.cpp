#include "train/trainer.h"

#include "base/error.h"
#include "model/device.h"
#include "store/model_files.h"
#include "train/memory_plan.h"

#include <cmath>

namespace ingrain::train {
namespace {

data::LoaderOptions loader_options(const RunConfig& run) {
  data::LoaderOptions options;
  options.batch = run.train.batch;
  options.length = run.data.length;
  options.order = run.data.order;
  options.seed = run.data.seed;
  options.skip = run.data.skip;
  return options;
}

Tensor to_tensor(const data::Batch& batch) {
  return at::from_blob(const_cast<int32_t*>(batch.tokens.data()), {batch.rows, batch.length + 1}, at::kInt)
      .to(at::kLong);
}

/// What a report says of one pass: the mean loss over chunks, the first chunk's, the last one's, the inner gradients'
/// mean norm (0 where there are none). [4] fp64, where the pass was computed.
Tensor figures(const ttt::OuterLoss& loss) {
  const Tensor loss_C = loss.chunk_loss_BC.mean(0);
  const bool inner = loss.inner_norm_BC.defined() && loss.inner_norm_BC.numel() > 0;
  const Tensor norm = inner ? loss.inner_norm_BC.mean() : at::zeros_like(loss_C[0]);
  return at::stack({loss_C.mean(), loss_C[0], loss_C[-1], norm}).to(at::kDouble);
}

at::ScalarType compute_type(const RunConfig& run, at::Device device) {
  return parse_compute_type(run.train.dtype, device);
}

}  // namespace

Trainer::Trainer(const RunConfig& run)
    : run_(run),
      device_(device_of(run)),
      recompute_(plan_recompute(run, compute_type(run, device_), free_memory(device_))),
      master_(first_weights()),
      compute_(convert(c_, master_, compute_type(run, device_), device_)),
      gradients_(c_, compute_, [this](const std::string& name) { return is_trained(run_, name); }),
      optimizer_(c_, master_, gradients_.sums(), run.train.adamw),
      corpus_(data::Corpus::open(run.data.train, run.data.raw_type)),
      loader_(corpus_, loader_options(run_)) {}

Weights Trainer::first_weights() {
  if (run_.model.folder.empty()) return convert(c_, initial_weights(c_, run_.train.seed), at::kFloat, device_);
  const Network start = load_model(run_.model.folder, at::kFloat);
  if (!run_.train.train_only.empty()) frozen_ = {run_.model.folder, start.fingerprint};
  return convert(c_, start.weights, at::kFloat, device_);
}

void Trainer::refresh_compute_weights() const {
  const at::NoGradGuard no_grad;
  const auto from = parameter_list(c_, master_), to = parameter_list(c_, compute_),
             trained = parameter_list(c_, gradients_.sums());
  std::vector<Tensor> changed, copies;
  for (size_t i = 0; i < from.size(); ++i) {
    if (!trained[i].defined() || from[i].is_same(to[i])) continue;
    changed.push_back(from[i]);
    copies.push_back(to[i]);
  }
  if (!copies.empty()) at::_foreach_copy_(copies, changed);
}

StepReport Trainer::advance() {
  StepReport report;
  report.step = counters_.step;
  report.lr = run_.train.rate.at(report.step);
  const double multiplier = run_.train.inner_rate.multiplier(report.step);
  report.inner_rate = c_.inner_lr * multiplier;

  const Tensor tokens_BT1 = to_tensor(loader_.next());
  report.tokens = tokens_BT1.size(0) * (tokens_BT1.size(1) - 1);
  refresh_compute_weights();
  gradients_.flat().zero_();

  ttt::GradientOptions options;
  options.rate_multiplier = multiplier;
  options.recompute = recompute_ ? ttt::Recompute::always : ttt::Recompute::never;
  options.keep_bytes = run_.train.kept_mib << 20;
  const double share = 1.0 / static_cast<double>(run_.train.accumulation);
  options.loss_scale = share;
  const auto gradient = run_.train.mode == Mode::meta ? ttt::meta_gradient : ttt::standard_gradient;
  Tensor figures_4 = at::zeros({4}, master_.final_norm_D.options().dtype(at::kDouble));
  for (const Tensor& part_bT1 : tokens_BT1.chunk(run_.train.accumulation))
    figures_4 = figures_4 + share * figures(gradient(c_, gradients_, part_bT1, options));
  // All that the host must know, at once: it is the only time in a step that it waits for a GPU.
  const Tensor known_5 = at::cat({figures_4, optimizer_.gradient_norm().view(1)}).cpu();
  const double* known = known_5.data_ptr<double>();
  report.loss = known[0], report.first_loss = known[1], report.last_loss = known[2], report.inner_norm = known[3];
  report.gradient_norm = known[4];
  report.skipped = !std::isfinite(report.loss) || !std::isfinite(report.gradient_norm);
  if (!report.skipped) optimizer_.step(report.lr, report.gradient_norm);
  ++counters_.step;
  counters_.tokens += report.tokens;
  counters_.skipped += report.skipped ? 1 : 0;
  counters_.skipped_in_a_row = report.skipped ? counters_.skipped_in_a_row + 1 : 0;
  require(counters_.skipped_in_a_row < run_.train.max_skipped,
          "step {}: {} steps in a row had a loss or gradient that is not finite, so training has stopped; go back to "
          "an earlier "
          "checkpoint with a lower train.lr, a longer train.warmup or train.dtype = \"fp32\"",
          report.step, counters_.skipped_in_a_row);
  return report;
}

std::optional<std::vector<ValidationReport>> Trainer::validate(const std::function<bool()>& keep_going) const {
  refresh_compute_weights();
  return validate_files({c_, compute_, ""}, run_, keep_going);
}

std::vector<std::pair<std::string, Tensor>> Trainer::state() const {
  std::vector<std::pair<std::string, Tensor>> out;
  Weights weights = master_;
  visit_parameters(c_, weights, [&](const std::string& name, Tensor& tensor, ParameterKind) {
    if (!frozen_ || is_trained(run_, name)) out.emplace_back(name, tensor);
  });
  for (auto& named : optimizer_.state()) out.push_back(std::move(named));
  return out;
}

void Trainer::restore(const Counters& counters, int64_t optimizer_steps, const data::LoaderState& loader) {
  loader_.resume(loader);
  counters_ = counters;
  optimizer_.set_steps(optimizer_steps);
}

}  // namespace ingrain::train
