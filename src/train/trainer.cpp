#include "train/trainer.h"

#include "base/error.h"
#include "model/device.h"
#include "store/model_files.h"
#include "train/memory_plan.h"

#include <cmath>
#include <utility>

namespace ingrain::train {
namespace {

data::LoaderOptions loader_options(const RunConfig& run, const distributed::Communicator& ranks) {
  data::LoaderOptions options;
  options.batch = run.train.batch;
  options.length = run.data.length;
  options.order = run.data.order;
  options.seed = run.data.seed;
  options.skip = run.data.skip;
  options.rank = ranks.rank(), options.ranks = ranks.ranks();
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

Trainer::Trainer(const RunConfig& run, distributed::Communicator& ranks)
    : run_(run),
      device_(device_of(run)),
      recompute_(plan_recompute(run, compute_type(run, device_), free_memory(device_), ranks.ranks())),
      master_(first_weights()),
      compute_(convert(c_, master_, compute_type(run, device_), device_)),
      gradients_(c_, compute_, [this](const std::string& name) { return is_trained(run_, name); }),
      sharing_(gradients_, ranks),
      optimizer_(c_, master_, gradients_, sharing_.own(), run.train.adamw,
                 /*copies=*/!ranks.alone() && compute_.type() != at::kFloat),
      corpus_(data::Corpus::open(run.data.train, run.data.raw_type)),
      loader_(corpus_, loader_options(run_, ranks)) {
  if (ranks.alone() || compute_.type() == at::kFloat) return;
  visit_parameters(c_, master_, [&](const std::string& name, Tensor& x, ParameterKind) {
    if (is_trained(run_, name)) x = Tensor();  // others own the rest of it
  });
}

Weights Trainer::first_weights() {
  if (run_.model.folder.empty()) return convert(c_, initial_weights(c_, run_.train.seed), at::kFloat, device_);
  const Network start = load_model(run_.model.folder, at::kFloat);
  if (!run_.train.train_only.empty()) frozen_ = {run_.model.folder, start.fingerprint};
  return convert(c_, start.weights, at::kFloat, device_);
}

void Trainer::refresh_compute_weights() const {
  const at::NoGradGuard no_grad;
  if (!ranks().alone()) {
    if (std::exchange(stale_, false)) sharing_.publish(optimizer_);
    return;
  }
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

Tensor Trainer::sum_gradients(double multiplier) {
  ttt::GradientOptions options;
  options.rate_multiplier = multiplier;
  options.recompute = recompute_ ? ttt::Recompute::always : ttt::Recompute::never;
  options.keep_bytes = run_.train.kept_mib << 20;
  options.host_bytes = run_.train.kept_host_mib << 20;
  const auto gradient = run_.train.mode == Mode::meta ? ttt::meta_gradient : ttt::standard_gradient;
  // In order: of each sequence alone, so that sums do not depend on which rank had it.
  const bool ordered = run_.train.ordered;
  const Tensor sum_n = ordered ? sharing_.zeros_of_own() : Tensor();
  gradients_.flat().zero_();
  std::vector<Tensor> figures_P4;
  const Tensor tokens_BT1 = to_tensor(loader_.next());
  const auto parts = tokens_BT1.split(ordered ? 1 : run_.train.batch / run_.train.accumulation);
  for (size_t i = 0; i < parts.size(); ++i) {
    options.loss_scale = static_cast<double>(parts[i].size(0)) / static_cast<double>(run_.train.batch);
    Reduction reduction = sharing_.reduction(sum_n);
    const bool reduces = ordered || (!ranks().alone() && i + 1 == parts.size());
    if (reduces) {
      options.settled = [&](int64_t first) { reduction.settle(first); };
      options.pause = [&] { reduction.advance(); };
    }
    figures_P4.push_back(options.loss_scale * figures(gradient(c_, gradients_, parts[i], options)));
    if (reduces) reduction.finish();
    if (ordered) gradients_.flat().zero_();
  }
  if (ordered) sharing_.take(sum_n);
  return at::stack(figures_P4);
}

StepReport Trainer::advance() {
  StepReport report;
  report.step = counters_.step;
  report.lr = run_.train.rate.at(report.step);
  const double multiplier = run_.train.inner_rate.multiplier(report.step);
  report.inner_rate = c_.inner_lr * multiplier;
  report.tokens = run_.train.batch * run_.data.length;
  refresh_compute_weights();
  const Tensor figures_P4 = sum_gradients(multiplier);

  // All that the host must know, at once: it is the only time in a step that it waits for a GPU.
  const Tensor known = at::cat({figures_P4.flatten(), optimizer_.squares()}).cpu();
  const size_t passes = static_cast<size_t>(figures_P4.size(0));
  std::vector<double> mine(known.const_data_ptr<double>(), known.const_data_ptr<double>() + known.numel());
  mine.resize(passes * 4 + static_cast<size_t>(sharing_.most_blocks()));  // rank 0 has as many; a zero adds nothing
  const std::vector<double> all = ranks().gather_numbers<double>(mine);
  const size_t N = static_cast<size_t>(ranks().ranks());
  double figures_4[4] = {}, squares = 0;
  for (size_t pass = 0; pass < passes; ++pass)  // in the batch's order, where each is a sequence
    for (size_t r = 0; r < N; ++r)
      for (size_t i = 0; i < 4; ++i) figures_4[i] += all[r * mine.size() + pass * 4 + i];
  for (const double of_block : sharing_.by_block(all.data() + passes * 4, mine.size())) squares += of_block;
  report.loss = figures_4[0], report.first_loss = figures_4[1], report.last_loss = figures_4[2];
  report.inner_norm = figures_4[3];
  report.gradient_norm = std::sqrt(squares);
  report.skipped = !std::isfinite(report.loss) || !std::isfinite(report.gradient_norm);
  if (!report.skipped) optimizer_.step(report.lr, report.gradient_norm), stale_ = true;
  ++counters_.step;
  counters_.tokens += report.tokens;
  counters_.skipped += report.skipped ? 1 : 0;
  counters_.skipped_in_a_row = report.skipped ? counters_.skipped_in_a_row + 1 : 0;
  if (counters_.skipped_in_a_row >= run_.train.max_skipped)
    throw distributed::Agreed(fmt::format(
        "step {}: {} steps in a row had a loss or gradient that is not finite, so training has stopped; go back to an "
        "earlier checkpoint with a lower train.lr, a longer train.warmup or train.dtype = \"fp32\"",
        report.step, counters_.skipped_in_a_row));
  return report;
}

std::optional<std::vector<ValidationReport>> Trainer::validate(const std::function<bool()>& keep_going) const {
  refresh_compute_weights();
  return validate_files({c_, compute_, ""}, run_, keep_going, ranks());
}

std::vector<StateTensor> Trainer::state() const {
  std::vector<StateTensor> out;
  Weights weights = master_;
  visit_parameters(c_, weights, [&](const std::string& name, Tensor& x, ParameterKind) {
    if (!frozen_ && !is_trained(run_, name) && ranks().first()) out.push_back({name, x.view({-1})});
  });
  for (const auto& [piece, weight_n, first_n, second_n] : optimizer_.state()) {
    out.push_back({piece.name, weight_n, piece.first});
    out.push_back({piece.name + ".first_moment", first_n, piece.first});
    out.push_back({piece.name + ".second_moment", second_n, piece.first});
  }
  return out;
}

std::vector<std::pair<std::string, std::vector<int64_t>>> Trainer::state_shapes() const {
  std::vector<std::pair<std::string, std::vector<int64_t>>> out;
  for_each_parameter(c_, [&](const Parameter& p, int64_t layer) {
    const std::string name = full_name(p, layer);
    if (!frozen_ || is_trained(run_, name)) out.emplace_back(name, shape_of(p, c_));
    if (!is_trained(run_, name)) return;
    for (const char* moment : {".first_moment", ".second_moment"}) out.emplace_back(name + moment, shape_of(p, c_));
  });
  return out;
}

void Trainer::restore(const Counters& counters, int64_t optimizer_steps, const data::LoaderState& loader) {
  loader_.resume(loader);
  counters_ = counters;
  optimizer_.set_steps(optimizer_steps);
  stale_ = true;
}

}  // namespace ingrain::train
