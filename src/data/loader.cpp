#include "data/loader.h"

#include "base/checked.h"
#include "base/error.h"
#include "base/option_error.h"
#include "base/json_fields.h"
#include "base/text.h"
#include "data/random.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>

namespace ingrain::data {
namespace {

constexpr uint64_t kMaxEpoch = 1'000'000;

/// REQUIRES of the header, as errors: an epoch's offset is below T, so T + B T tokens always hold one batch.
void check(const Corpus& corpus, const LoaderOptions& o) {
  require(o.batch > 0 && o.length > 0, "batch {} and length {} must be positive", o.batch, o.length);
  require(o.ranks > 0 && o.rank >= 0 && o.rank < o.ranks, "rank {} of {} does not exist", o.rank, o.ranks);
  require(o.batch % o.ranks == 0, "a batch of {} sequences cannot be shared equally by {} ranks; change the batch",
          o.batch, o.ranks);
  const auto rows = checked_add(static_cast<uint64_t>(o.batch), 1);
  const auto needed = checked_mul(*rows, static_cast<uint64_t>(o.length));
  if (!needed || *needed > corpus.size()) {
    fail(
        "{}: {} tokens are too few for batches of {} x {}: it takes {}; use more text, a smaller batch or a "
        "smaller length",
        corpus.path().string(), corpus.size(), o.batch, o.length,
        needed ? fmt::format("{} x {} = {}", *rows, o.length, *needed) : "more than there are anywhere");
  }
  require(corpus.size() / static_cast<uint64_t>(o.length) < std::numeric_limits<uint32_t>::max(),
          "{}: more than 2^32 sequences of {} tokens; use a larger length", corpus.path().string(), o.length);
}

}  // namespace

Order order_from_name(std::string_view name) {
  if (name == "packed") return Order::splitmix;
  if (name == "numpy") return Order::numpy;
  fail_option("order", "'{}' is not known; choose packed or numpy", printable(name));
}

void to_json(nlohmann::json& json, const LoaderState& state) {
  json = {{"epoch", state.epoch}, {"batch", state.batch}, {"plan", state.plan}};
}

void from_json(const nlohmann::json& json, LoaderState& state) {
  const Field fields(json, "state of the data loader", "; the checkpoint is damaged");
  const auto number = [&](const char* name) { return fields.at(name).whole_number(); };
  state = {number("epoch"), number("batch"), number("plan")};
}

Loader::Loader(const Corpus& corpus, const LoaderOptions& options)
    : corpus_(corpus), options_(options), numpy_(options.seed) {
  check(corpus, options);
  state_.plan = plan();
  begin_epoch(0);
  for (uint64_t left = options.skip; left > 0;) {
    const uint64_t here = std::min(left, batches_in_epoch());
    state_.batch += here, left -= here;
    if (left > 0) begin_epoch(state_.epoch + 1);
  }
}

uint64_t Loader::plan() const {
  const uint64_t parts[] = {corpus_.size(), static_cast<uint64_t>(options_.batch),
                            static_cast<uint64_t>(options_.length), static_cast<uint64_t>(options_.order),
                            options_.seed};
  Checksum sum;
  sum.update(parts, sizeof parts);
  for (const ShardFile& shard : corpus_.shards()) sum.update(&shard.info().checksum, sizeof(uint64_t));
  return sum.value();
}

uint64_t Loader::batches_in_epoch() const { return order_.size() / static_cast<uint64_t>(options_.batch); }

template <class Generator>
void Loader::draw_epoch(Generator& generator) {
  const auto length = static_cast<uint64_t>(options_.length);
  offset_ = generator.below(length);
  order_ = generator.permutation(static_cast<uint32_t>((corpus_.size() - 1 - offset_) / length));
}

void Loader::begin_epoch(uint64_t epoch) {
  if (options_.order == Order::splitmix) {
    SplitMix64 generator(options_.seed, epoch);
    draw_epoch(generator);
  } else {
    // numpy's generator runs on through the epochs: going back means drawing again from the first.
    if (epoch < numpy_epochs_) numpy_ = NumpyRandom(options_.seed), numpy_epochs_ = 0;
    for (; numpy_epochs_ <= epoch; ++numpy_epochs_) draw_epoch(numpy_);
  }
  state_.epoch = epoch, state_.batch = 0;
}

void Loader::resume(const LoaderState& state) {
  require(state.plan == state_.plan,
          "{}: the checkpoint was made with other data, batch, length, order or seed; "
          "restore them, or begin a new run",
          corpus_.path().string());
  require(state.epoch <= kMaxEpoch, "state of the data loader: epoch {}; the checkpoint is damaged", state.epoch);
  begin_epoch(state.epoch);
  require(state.batch <= batches_in_epoch(),
          "state of the data loader: batch {} of an epoch with {}; the checkpoint is damaged", state.batch,
          batches_in_epoch());
  state_.batch = state.batch;
}

Batch Loader::next() {
  if (state_.batch >= batches_in_epoch()) begin_epoch(state_.epoch + 1);
  const auto length = static_cast<uint64_t>(options_.length);
  Batch out;
  out.rows = options_.batch / options_.ranks;
  out.length = options_.length;
  out.tokens.resize(static_cast<size_t>(out.rows) * (length + 1));
  for (int64_t row = 0; row < out.rows; ++row) {
    const uint64_t place = state_.batch * static_cast<uint64_t>(options_.batch) +
                           static_cast<uint64_t>(options_.rank + row * options_.ranks);
    corpus_.read(offset_ + order_[place] * length, length + 1,
                 out.tokens.data() + static_cast<uint64_t>(row) * (length + 1));
  }
  ++state_.batch;
  return out;
}

}  // namespace ingrain::data
