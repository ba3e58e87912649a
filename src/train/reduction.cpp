#include "train/reduction.h"

#include <algorithm>

namespace ingrain::train {
namespace {

using distributed::Part;

/// Of the numbers that are under way at a time, all ranks' together, but for two buckets: few enough to lie beside what
/// the backward pass holds.
constexpr int64_t kAtOnce = 1 << 21;

}  // namespace

int64_t received_at_once() { return kAtOnce * static_cast<int64_t>(sizeof(float)); }

Reduction::Reduction(distributed::Communicator& ranks, const std::vector<Bucket>& buckets, const Tensor& flat_N,
                     const Tensor& sum_n, bool reads)
    : ranks_(ranks),
      buckets_(buckets),
      flat_N_(flat_N),
      sum_n_(sum_n),
      reads_(reads),
      next_(buckets.size()),
      final_from_(flat_N.numel()) {
  int64_t place = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    places_.push_back(place);
    place += own(i).end - own(i).begin;
  }
}

bool Reduction::room_for_next() const { return under_way_.size() < 2 || arriving_ + numbers(next_ - 1) <= kAtOnce; }

void Reduction::settle(int64_t first) {
  final_from_ = std::min(final_from_, first);
  advance();
}

void Reduction::advance() {
  // The oldest first: all ranks began it first. Asking for one moves the others along.
  while (!under_way_.empty() && ranks_.done(under_way_.front().exchange)) {
    add(under_way_.front());
    under_way_.pop_front();
  }
  if (!reads_ && final_from_ > 0) return;
  while (next_ > 0 && buckets_[next_ - 1].whole.begin >= final_from_ && room_for_next()) begin_next();
}

void Reduction::finish() {
  settle(0);
  while (!under_way_.empty()) {
    ranks_.wait(under_way_.front().exchange);
    add(under_way_.front());
    under_way_.pop_front();
    advance();
  }
}

void Reduction::begin_next() {
  const size_t b = --next_;
  const Bucket& bucket = buckets_[b];
  const uint64_t size = flat_N_.element_size();
  const int64_t here = own(b).end - own(b).begin;
  std::vector<Part> out_R, in_R;
  for (const Stretch& s : bucket.of_R) {
    out_R.push_back(
        {static_cast<uint64_t>(s.begin - bucket.whole.begin) * size, static_cast<uint64_t>(s.end - s.begin) * size});
    in_R.push_back({static_cast<uint64_t>(here) * size * in_R.size(), static_cast<uint64_t>(here) * size});
  }
  const Tensor there_n = flat_N_.narrow(0, bucket.whole.begin, numbers(b)), out_n = reads_ ? there_n : there_n.cpu();
  const Tensor in_Rn = at::empty({ranks_.ranks(), here}, out_n.options());
  const uint64_t exchange = ranks_.begin_exchange(memory_of(out_n), out_R, memory_of(in_Rn), in_R);
  under_way_.push_back({b, exchange, out_n, in_Rn});
  arriving_ += numbers(b);
}

void Reduction::add(const UnderWay& arrived) {
  const at::NoGradGuard no_grad;
  arriving_ -= numbers(arrived.bucket);
  const Stretch& mine = own(arrived.bucket);
  const int64_t here = mine.end - mine.begin;
  if (here == 0) return;
  const Tensor sum_n =
      sum_n_.defined() ? sum_n_.narrow(0, places_[arrived.bucket], here) : flat_N_.narrow(0, mine.begin, here).zero_();
  for (const Tensor& of_rank_n : arrived.in_Rn.to(sum_n.device()).unbind(0)) sum_n.add_(of_rank_n);
}

}  // namespace ingrain::train
