#include "ttt/kv_cache.h"

#include <algorithm>

namespace ingrain::ttt {

void KvCache::append(const Tensor& k_BnGd, const Tensor& v_BnGd) {
  const int64_t n = k_BnGd.size(1), length = end_ - begin_;
  if (k_BCGd_.defined() && end_ + n > k_BCGd_.size(1) && begin_ >= length && length + n <= k_BCGd_.size(1)) {
    // What is kept lies wholly behind its new place: no new memory.
    for (Tensor* x : {&k_BCGd_, &v_BCGd_}) x->narrow(1, 0, length).copy_(x->narrow(1, begin_, length));
    begin_ = 0;
    end_ = length;
  }
  if (!k_BCGd_.defined() || end_ + n > k_BCGd_.size(1)) {
    auto sizes = k_BnGd.sizes().vec();
    sizes[1] = std::max<int64_t>(2 * (length + n), 64);
    const auto moved = [&](const Tensor& old, const Tensor& like) {
      const Tensor fresh = at::empty(sizes, like.options());
      if (length > 0) fresh.narrow(1, 0, length).copy_(old.narrow(1, begin_, length));
      return fresh;
    };
    k_BCGd_ = moved(k_BCGd_, k_BnGd);
    v_BCGd_ = moved(v_BCGd_, v_BnGd);
    begin_ = 0;
    end_ = length;
  }
  k_BCGd_.narrow(1, end_, n).copy_(k_BnGd);
  v_BCGd_.narrow(1, end_, n).copy_(v_BnGd);
  end_ += n;
}

void KvCache::keep_last(int64_t n) { begin_ = std::max(begin_, end_ - n); }

ops::KvWindow KvCache::last(int64_t n) const { return before(0, n); }

ops::KvWindow KvCache::before(int64_t skip, int64_t n) const {
  const int64_t end = std::max(begin_, end_ - skip), begin = std::max(begin_, end - n);
  if (begin == end) return {};
  return {k_BCGd_.narrow(1, begin, end - begin), v_BCGd_.narrow(1, begin, end - begin)};
}

KvCache KvCache::clone() const {
  KvCache out;
  if (length() > 0) out.append(k_BCGd_.narrow(1, begin_, length()), v_BCGd_.narrow(1, begin_, length()));
  return out;
}

}  // namespace ingrain::ttt
