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

/// Prepared data says with which tokenizer; a raw file does not.
void check_same_tokenizer(const data::Corpus& corpus, const data::Corpus& training) {
  if (corpus.shards().empty() || training.shards().empty()) return;
  const data::ShardInfo &here = corpus.shards()[0].info(), &there = training.shards()[0].info();
  require(here.tokenizer == there.tokenizer,
          "{}: was prepared with the tokenizer {:016x}, the training data ({}) with {:016x}: its losses would mean "
          "nothing; prepare it with the training data's tokenizer",
          corpus.path().string(), here.tokenizer, training.path().string(), there.tokenizer);
  require(here.bos == there.bos,
          "{}: its documents begin with id {}, the training data's ({}) with {}; prepare it with {} as the id",
          corpus.path().string(), here.bos, training.path().string(), there.bos, there.bos);
}

/// Sums of losses and counts over the parts of a sequence, on the CPU.
struct PartSums {
  Tensor loss_P = at::zeros({kParts}, at::kDouble), count_P = at::zeros({kParts}, at::kDouble);
  int64_t not_finite = 0;

  void add(const Tensor& nll_BT, const Tensor& valid_BT, const Tensor& part_T) {
    const Tensor counted_BT = valid_BT.logical_and(nll_BT.isfinite());
    not_finite += valid_BT.sum().item<int64_t>() - counted_BT.sum().item<int64_t>();
    loss_P.index_add_(0, part_T, at::where(counted_BT, nll_BT, 0.0).to(at::kDouble).sum(0));
    count_P.index_add_(0, part_T, counted_BT.to(at::kDouble).sum(0));
  }
  /// The sums of all ranks, in their order.
  void sum_over(distributed::Communicator& ranks) {
    const Tensor mine_n = at::cat({loss_P, count_P, at::full({1}, static_cast<double>(not_finite), at::kDouble)});
    const auto n = static_cast<size_t>(mine_n.numel());
    const std::vector<double> all = ranks.gather_numbers<double>({mine_n.const_data_ptr<double>(), n});
    loss_P.zero_(), count_P.zero_(), not_finite = 0;
    for (size_t r = 0; r < all.size(); r += n) {
      for (int64_t p = 0; p < kParts; ++p) {
        loss_P[p] += all[r + static_cast<size_t>(p)];
        count_P[p] += all[r + static_cast<size_t>(kParts + p)];
      }
      not_finite += static_cast<int64_t>(all[r + n - 1]);
    }
  }
  double mean() const { return loss_P.sum().item<double>() / count_P.sum().item<double>(); }  // 0 / 0 is a NaN
  std::vector<double> by_part(int64_t parts) const {
    std::vector<double> out;
    for (int64_t p = 0; p < parts; ++p) out.push_back(loss_P[p].item<double>() / count_P[p].item<double>());
    return out;
  }
};

std::optional<ValidationReport> validate_file(const Network& model, const RunConfig& run,
                                              const std::filesystem::path& path,
                                              const std::function<bool()>& keep_going,
                                              distributed::Communicator& ranks) {
  const Tensor tokens_NT1 = read_sequences(path, run);
  const int64_t N = tokens_NT1.size(0), T = tokens_NT1.size(1) - 1, parts = std::min(kParts, T);
  const Tensor part_T = at::arange(T).mul_(parts).div_(T, "floor");
  PartSums on, off;
  const int64_t rows = run.train.batch / run.train.accumulation;  // what fits in training fits here
  bool stopped = false;
  for (int64_t first = ranks.rank() * rows; first < N && !stopped; first += ranks.ranks() * rows) {
    const Tensor tokens_BT1 = tokens_NT1.narrow(0, first, std::min(rows, N - first));
    const Tensor valid_BT = tokens_BT1.narrow(1, 1, T).ne(model.config.bos_id);
    for (const bool learn : {true, false}) {
      if (learn && model.config.suffix_len == 0) continue;  // nothing learns: see below
      stopped = stopped || (keep_going && !keep_going());
      if (stopped) break;
      ttt::Memory memory = ttt::empty_memory(model, tokens_BT1.size(0));
      ttt::ReadOptions options;
      options.learn = learn;
      options.finite = false;  // they are counted
      const Tensor nll_BT = ttt::read(model, memory, tokens_BT1, options).nll_Bn.narrow(1, 1, T).cpu();
      (learn ? on : off).add(nll_BT, valid_BT, part_T);
    }
  }
  if (ranks.any(stopped)) return std::nullopt;
  on.sum_over(ranks), off.sum_over(ranks);
  if (model.config.suffix_len == 0) on = off;
  ValidationReport report{.name = path.filename().string(),
                          .loss_on = on.mean(),
                          .loss_off = off.mean(),
                          .not_finite_on = on.not_finite,
                          .not_finite_off = off.not_finite,
                          .position_P = {},
                          .loss_on_P = on.by_part(parts),
                          .loss_off_P = off.by_part(parts),
                          .tokens = N * T};
  for (int64_t p = 0; p < parts; ++p) report.position_P.push_back((p * T + parts - 1) / parts);
  return report;
}

}  // namespace

void check_validation(const RunConfig& run) {
  if (run.validation.paths.empty()) return;
  const data::Corpus training = data::Corpus::open(run.data.train, run.data.raw_type);
  for (const auto& path : run.validation.paths) {
    check_same_tokenizer(data::Corpus::open(path, run.data.raw_type), training);
    read_sequences(path, run);
  }
}

std::optional<std::vector<ValidationReport>> validate_files(const Network& model, const RunConfig& run,
                                                            const std::function<bool()>& keep_going,
                                                            distributed::Communicator& ranks) {
  std::vector<ValidationReport> reports;
  for (const auto& path : run.validation.paths) {
    auto report = validate_file(model, run, path, keep_going, ranks);
    if (!report) return std::nullopt;
    reports.push_back(std::move(*report));
  }
  return reports;
}

}  // namespace ingrain::train
