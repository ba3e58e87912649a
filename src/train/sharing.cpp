#include "train/sharing.h"

#include <algorithm>
#include <map>

namespace ingrain::train {
namespace {

using distributed::Part;

int64_t blocks_of(const Stretch& s) { return (s.end - s.begin + kBlock - 1) / kBlock; }

}  // namespace

Sharing::Sharing(const GradientSums& gradients, distributed::Communicator& ranks)
    : ranks_(ranks),
      flat_N_(gradients.flat()),
      buckets_(buckets_of(flat_N_.numel(), bucket_size(flat_N_.numel(), ranks.ranks()), ranks.ranks())),
      own_(stretches_of(buckets_, ranks.rank())),
      places_(gradients.places()) {
  for (const auto& place : places_) {
    const Tensor& leaf = leaves_.emplace_back(place.leaf.detach());
    begins_.push_back(bytes_);
    constexpr uint64_t kAligned = 64;
    bytes_ += (static_cast<uint64_t>(leaf.nbytes()) + kAligned - 1) / kAligned * kAligned;
  }
}

int64_t Sharing::most_blocks() const {
  int64_t blocks = 0;
  for (const Bucket& bucket : buckets_) blocks += blocks_of(bucket.of_R[0]);
  return blocks;
}

std::vector<double> Sharing::by_block(const double* said_RM, size_t stride) const {
  std::vector<double> out;
  std::vector<const double*> next_R;
  for (size_t r = 0; r < static_cast<size_t>(ranks_.ranks()); ++r) next_R.push_back(said_RM + r * stride);
  for (const Bucket& bucket : buckets_)
    for (size_t r = 0; r < next_R.size(); ++r)
      for (int64_t i = blocks_of(bucket.of_R[r]); i > 0; --i) out.push_back(*next_R[r]++);
  return out;
}

void Sharing::take(const Tensor& sum_n) const {
  int64_t place = 0;
  for (const Stretch& s : own_) {
    flat_N_.narrow(0, s.begin, s.end - s.begin).copy_(sum_n.narrow(0, place, s.end - s.begin));
    place += s.end - s.begin;
  }
}

uint64_t Sharing::byte_of(int64_t number) const {
  for (size_t i = places_.size(); i-- > 0;) {
    if (number < places_[i].begin) continue;
    const uint64_t next = i + 1 < places_.size() ? begins_[i + 1] : bytes_;
    return std::min(next, begins_[i] + static_cast<uint64_t>(number - places_[i].begin) * leaves_[i].element_size());
  }
  return 0;
}

void Sharing::publish(const AdamW& optimizer) const {
  const at::NoGradGuard no_grad;
  const Tensor room_b = flat_N_.view(at::kByte);
  const auto place_of = [&](size_t i, int64_t first, int64_t count) {
    const auto size = static_cast<int64_t>(leaves_[i].element_size());
    return room_b.narrow(0, static_cast<int64_t>(begins_[i]) + first * size, count * size)
        .view(leaves_[i].scalar_type());
  };
  std::map<std::string, size_t> index;
  for (size_t i = 0; i < places_.size(); ++i) index[places_[i].name] = i;
  for (const AdamW::State& s : optimizer.state())
    place_of(index.at(s.piece.name), s.piece.first, s.piece.count).copy_(s.weight_n);
  const Tensor there_b = reads() ? room_b : room_b.cpu();
  for (const Bucket& bucket : buckets_) {
    std::vector<Part> parts_R;
    for (const Stretch& s : bucket.of_R) {
      const uint64_t begin = byte_of(s.begin), end = s.end == flat_N_.numel() ? bytes_ : byte_of(s.end);
      parts_R.push_back({begin, s.begin < s.end && end > begin ? end - begin : 0});
    }
    carrier().gather(memory_of(there_b), parts_R);
  }
  if (!there_b.is_same(room_b)) room_b.copy_(there_b);
  for (size_t i = 0; i < places_.size(); ++i) leaves_[i].copy_(place_of(i, 0, places_[i].count).view(places_[i].shape));
}

}  // namespace ingrain::train
