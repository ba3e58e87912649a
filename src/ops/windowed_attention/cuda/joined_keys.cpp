#include "ops/windowed_attention/cuda/joined_keys.h"

#include <algorithm>

namespace ingrain::ops {
namespace {

bool follows(const Tensor& past, const Tensor& now) {
  if (past.scalar_type() != now.scalar_type() || !now.is_alias_of(past)) return false;
  for (int64_t i = past.size(0) > 1 ? 0 : 1; i < past.dim(); ++i)
    if (past.stride(i) != now.stride(i)) return false;
  return now.storage_offset() == past.storage_offset() + past.size(1) * past.stride(1);
}

}  // namespace

Tensor joined(const Tensor& past, const Tensor& now) {
  if (!follows(past, now)) return at::cat({past, now}, 1);
  auto sizes = past.sizes().vec();
  sizes[1] += now.size(1);
  return past.as_strided(sizes, past.strides());
}

JoinedKeys::JoinedKeys(const Tensor& k_PBTGd, const Tensor& v_PBTGd, const KvWindow& kv, int64_t window)
    : unseen(std::max<int64_t>(0, kv.length() - window + 1)) {
  past = kv.length() - unseen;
  const auto with_past = [&](const Tensor& old_BWGd, const Tensor& now_PBTGd) {
    return past == 0 ? primal(now_PBTGd) : joined(old_BWGd.narrow(1, unseen, past), primal(now_PBTGd));
  };
  k_BKGd = with_past(kv.k_BWGd, k_PBTGd);
  v_BKGd = with_past(kv.v_BWGd, v_PBTGd);
}

Tensor with_aligned_rows(const Tensor& x) {
  const int64_t elements = 16 / static_cast<int64_t>(x.element_size());
  bool aligned = reinterpret_cast<uintptr_t>(x.const_data_ptr()) % 16 == 0 && x.stride(-1) == 1;
  for (int64_t i = 0; i + 1 < x.dim(); ++i) aligned &= x.size(i) <= 1 || x.stride(i) % elements == 0;
  return aligned ? x : at::empty(x.sizes(), x.options()).copy_(x);
}

}  // namespace ingrain::ops
