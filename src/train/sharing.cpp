#include "train/sharing.h"

#include <algorithm>
#include <map>

namespace ingrain::train {
namespace {

using distributed::Part;

/// Of the numbers that are received at a time, all ranks' together: few enough to lie beside the model, many enough
/// that no message is small.
constexpr int64_t kReceivedAtOnce = 16 << 20;

std::byte* memory_of(const Tensor& x) { return static_cast<std::byte*>(x.data_ptr()); }

}  // namespace

int64_t received_at_once() { return kReceivedAtOnce * static_cast<int64_t>(sizeof(float)); }

Sharing::Sharing(const GradientSums& gradients, distributed::Communicator& ranks)
    : ranks_(ranks),
      flat_N_(gradients.flat()),
      stretches_(stretches_of(gradients, ranks.ranks())),
      places_(gradients.places()) {
  for (const auto& place : places_) {
    const Tensor& leaf = leaves_.emplace_back(place.leaf.detach());
    begins_.push_back(bytes_);
    constexpr uint64_t kAligned = 64;
    bytes_ += (static_cast<uint64_t>(leaf.nbytes()) + kAligned - 1) / kAligned * kAligned;
  }
}

void Sharing::add_gradients(const Tensor& sum_n) const {
  const at::NoGradGuard no_grad;
  const auto N = static_cast<int64_t>(stretches_.size());
  const int64_t longest = stretches_[0].end, bucket = std::max(kBlock, kReceivedAtOnce / N / kBlock * kBlock);
  const Tensor flat_N = flat_N_.cpu();  // itself, where it is there
  const uint64_t size = flat_N.element_size();
  const auto bytes = [size](int64_t numbers) { return static_cast<uint64_t>(numbers) * size; };
  for (int64_t first = 0; first < longest; first += bucket) {
    std::vector<Part> out_R, in_R;
    const auto within = [&](const Stretch& s) { return std::clamp(s.end - s.begin - first, int64_t{0}, bucket); };
    const int64_t here = within(own());
    for (const Stretch& s : stretches_) {
      out_R.push_back({bytes(within(s) > 0 ? s.begin + first : 0), bytes(within(s))});
      in_R.push_back({bytes(here) * in_R.size(), bytes(here)});
    }
    const Tensor in_Rn = at::empty({N, here}, flat_N.options());
    ranks_.exchange(memory_of(flat_N), out_R, memory_of(in_Rn), in_R);
    if (here == 0) continue;
    const Tensor part_n = sum_n.narrow(0, first, here);
    for (const Tensor& of_rank_n : in_Rn.to(sum_n.device()).unbind(0)) part_n.add_(of_rank_n);
  }
}

void Sharing::sum_gradients() const {
  if (ranks_.alone()) return;
  const Tensor own_n = flat_N_.narrow(0, own().begin, own().end - own().begin);
  const Tensor sum_n = at::zeros_like(own_n);
  add_gradients(sum_n);
  own_n.copy_(sum_n);
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
  std::vector<Part> parts_R;
  for (const Stretch& s : stretches_) {
    const uint64_t begin = byte_of(s.begin), end = s.end == flat_N_.numel() ? bytes_ : byte_of(s.end);
    parts_R.push_back({begin, end > begin ? end - begin : 0});
  }
  const Tensor host_b = room_b.cpu();
  ranks_.gather(memory_of(host_b), parts_R);
  if (!host_b.is_same(room_b)) room_b.copy_(host_b);
  for (size_t i = 0; i < places_.size(); ++i) leaves_[i].copy_(place_of(i, 0, places_[i].count).view(places_[i].shape));
}

}  // namespace ingrain::train
