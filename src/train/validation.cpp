#include "train/validation.h"

#include "base/error.h"
#include "ttt/read.h"

#include <algorithm>

namespace ingrain::train {
namespace {

constexpr int64_t kParts = 8;

/// The first sequences of a file, [N, T + 1]: each one's last token is the next one's first.
Tensor read_sequences(const std::filesystem::path& path, const RunConfig& run) {
  const data::Corpus corpus = data::Corpus::open(path, run.data.raw_type);
  const int64_t T = run.validation.length;
  const int64_t N = std::min(run.validation.sequences, (static_cast<int64_t>(corpus.size()) - 1) / T);
  require(N >= 1, "{}: {} tokens are too few for one validation sequence of {}; lower validation.length", path.string(),
          corpus.size(), T);
  std::vector<int32_t> tokens(static_cast<size_t>(N * T + 1));
  corpus.read(0, tokens.size(), tokens.data());
  const Tensor all = at::from_blob(tokens.data(), {N * T + 1}, at::kInt).to(at::kLong);
  require(all.max().item<int64_t>() < run.model.config.vocab_size,
          "{}: holds ids beyond the model's vocabulary of {}; prepare it with the training data's tokenizer",
          path.string(), run.model.config.vocab_size);
  return all.unfold(0, T + 1, T).contiguous();
}

/// Sums of losses and counts over the parts of a sequence, on the CPU.
struct PartSums {
  Tensor loss_P = at::zeros({kParts}, at::kDouble), count_P = at::zeros({kParts}, at::kDouble);

  void add(const Tensor& nll_BT, const Tensor& valid_BT, const Tensor& part_T) {
    loss_P.index_add_(0, part_T, at::where(valid_BT, nll_BT, 0.0).to(at::kDouble).sum(0));
    count_P.index_add_(0, part_T, valid_BT.to(at::kDouble).sum(0));
  }
  double mean() const { return loss_P.sum().item<double>() / std::max(1.0, count_P.sum().item<double>()); }
  std::vector<double> by_part(int64_t parts) const {
    std::vector<double> out;
    for (int64_t p = 0; p < parts; ++p)
      out.push_back(loss_P[p].item<double>() / std::max(1.0, count_P[p].item<double>()));
    return out;
  }
};

std::optional<ValidationReport> validate_file(const Network& model, const RunConfig& run,
                                              const std::filesystem::path& path,
                                              const std::function<bool()>& keep_going) {
  const Tensor tokens_NT1 = read_sequences(path, run);
  const int64_t N = tokens_NT1.size(0), T = tokens_NT1.size(1) - 1, parts = std::min(kParts, T);
  const Tensor part_T = at::arange(T).mul_(parts).div_(T, "floor");
  PartSums on, off;
  const int64_t rows = run.train.batch / run.train.accumulation;  // what fits in training fits here
  for (int64_t first = 0; first < N; first += rows) {
    const Tensor tokens_BT1 = tokens_NT1.narrow(0, first, std::min(rows, N - first));
    const Tensor valid_BT = tokens_BT1.narrow(1, 1, T).ne(model.config.bos_id);
    for (const bool learn : {true, false}) {
      if (learn && model.config.suffix_len == 0) continue;  // nothing learns: see below
      if (keep_going && !keep_going()) return std::nullopt;
      ttt::Memory memory = ttt::empty_memory(model, tokens_BT1.size(0));
      ttt::ReadOptions options;
      options.learn = learn;
      const Tensor nll_BT = ttt::read(model, memory, tokens_BT1, options).nll_Bn.narrow(1, 1, T).cpu();
      (learn ? on : off).add(nll_BT, valid_BT, part_T);
    }
  }
  if (model.config.suffix_len == 0) on = off;
  ValidationReport report{path.filename().string(), on.mean(),          off.mean(), {},
                          on.by_part(parts),        off.by_part(parts), N * T};
  for (int64_t p = 0; p < parts; ++p) report.position_P.push_back((p * T + parts - 1) / parts);
  return report;
}

}  // namespace

std::optional<std::vector<ValidationReport>> validate_files(const Network& model, const RunConfig& run,
                                                            const std::function<bool()>& keep_going) {
  std::vector<ValidationReport> reports;
  for (const auto& path : run.validation.paths) {
    auto report = validate_file(model, run, path, keep_going);
    if (!report) return std::nullopt;
    reports.push_back(std::move(*report));
  }
  return reports;
}

}  // namespace ingrain::train
