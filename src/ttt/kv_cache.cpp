#include "ttt/kv_cache.h"

#include <algorithm>

namespace ingrain::ttt {
namespace {

/// Room beyond what is kept and as much again, or what comes now: so many positions can come at a time, and a full
/// buffer's content still lies wholly behind its front. Without it every copy of a memory on a CPU would soon need new
/// buffers, for all blocks with the same token.
constexpr int64_t kMore = 256;

}  // namespace

KvCache::KvCache(Tensor k_BnGd, Tensor v_BnGd)
    : k_BCGd_(std::move(k_BnGd)), v_BCGd_(std::move(v_BnGd)), end_(k_BCGd_.size(1)) {}

void KvCache::append(const Tensor& k_BnGd, const Tensor& v_BnGd) {
  const int64_t n = k_BnGd.size(1), length = end_ - begin_;
  if (k_BCGd_.defined() && end_ + n > k_BCGd_.size(1) && begin_ >= length && length + n <= k_BCGd_.size(1)) {
    // What is kept lies wholly behind its new place: no new memory.
    for (Tensor* x : {&k_BCGd_, &v_BCGd_}) x->narrow(1, 0, length).copy_(x->narrow(1, begin_, length));
    begin_ = 0;
    end_ = length;
  }
  if (!k_BCGd_.defined() || end_ + n > k_BCGd_.size(1)) move(length + std::max(length, n) + kMore, k_BnGd, v_BnGd);
  k_BCGd_.narrow(1, end_, n).copy_(k_BnGd);
  v_BCGd_.narrow(1, end_, n).copy_(v_BnGd);
  end_ += n;
}

/// To the front of a new buffer.
void KvCache::move(int64_t capacity, const Tensor& like_k, const Tensor& like_v) {
  const int64_t length = end_ - begin_;
  const auto moved = [&](const Tensor& old, const Tensor& like) {
    auto sizes = like.sizes().vec();
    sizes[1] = capacity;
    const Tensor fresh = at::empty(sizes, like.options());
    if (length > 0) fresh.narrow(1, 0, length).copy_(old.narrow(1, begin_, length));
    return fresh;
  };
  k_BCGd_ = moved(k_BCGd_, like_k);
  v_BCGd_ = moved(v_BCGd_, like_v);
  begin_ = 0;
  end_ = length;
}

ops::KvWindow KvCache::with_room(int64_t n) {
  const int64_t whole = length() + n;
  if (begin_ > 0 || whole > k_BCGd_.size(1)) move(whole, k_BCGd_, v_BCGd_);
  return {k_BCGd_.narrow(1, 0, whole), v_BCGd_.narrow(1, 0, whole)};
}

void KvCache::keep_last(int64_t n) { begin_ = std::max(begin_, end_ - n); }

void KvCache::give_back_room() {
  if (k_BCGd_.defined() && k_BCGd_.is_cpu() && k_BCGd_.size(1) > 2 * (length() + kMore))
    move(length(), k_BCGd_, v_BCGd_);
}

ops::KvWindow KvCache::last(int64_t n) const { return before(0, n); }

ops::KvWindow KvCache::before(int64_t skip, int64_t n) const {
  const int64_t end = std::max(begin_, end_ - skip), begin = std::max(begin_, end - n);
  if (begin == end) return {};
  return {k_BCGd_.narrow(1, begin, end - begin), v_BCGd_.narrow(1, begin, end - begin)};
}

KvCache KvCache::clone() const {
  KvCache out;
  if (length() == 0) return out;
  const Tensor k_BnGd = k_BCGd_.narrow(1, begin_, length()), v_BnGd = v_BCGd_.narrow(1, begin_, length());
  // Room that is not used costs nothing on a CPU, which gives pages when they are written; a GPU's memory is taken at
  // once.
  if (!k_BnGd.is_cpu()) out.move(length(), k_BnGd, v_BnGd);
  out.append(k_BnGd, v_BnGd);
  return out;
}

KvCache KvCache::map(const std::function<Tensor(const Tensor& x)>& of) const {
  if (length() == 0) return {};
  Tensor k_BnGd = of(k_BCGd_.narrow(1, begin_, length()));
  return {std::move(k_BnGd), of(v_BCGd_.narrow(1, begin_, length()))};
}

}  // namespace ingrain::ttt
