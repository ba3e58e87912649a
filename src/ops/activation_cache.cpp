#include "ops/activation_cache.h"

namespace ingrain::ops {

thread_local ActivationCache* ActivationCache::active_ = nullptr;

ActivationCache::Scope::Scope(ActivationCache& cache, Mode mode, int64_t first, int64_t count, size_t call)
    : outer_(active_) {
  cache.mode_ = mode;
  cache.first_ = first;
  cache.count_ = count;
  cache.next_ = call;
  active_ = &cache;
}

ActivationCache::Scope::~Scope() { active_ = outer_; }

std::vector<Tensor> ActivationCache::put(std::vector<Tensor> results, const int64_t* token_axes) {
  if (next_ == calls_.size()) {
    std::vector<Tensor>& whole = calls_.emplace_back();
    for (size_t i = 0; i < results.size(); ++i) {
      if (!results[i].defined()) {
        whole.emplace_back();
        continue;
      }
      auto sizes = results[i].sizes().vec();
      sizes[static_cast<size_t>(results[i].dim() + token_axes[i])] = tokens_;
      whole.push_back(at::empty(sizes, results[i].options()));
    }
  }
  for (size_t i = 0; i < results.size(); ++i)
    if (results[i].defined()) calls_[next_][i].narrow(token_axes[i], first_, count_).copy_(results[i]);
  ++next_;
  return results;
}

std::vector<Tensor> ActivationCache::take(const int64_t* token_axes) {
  TORCH_CHECK(next_ < calls_.size(), "a cache of ", calls_.size(), " results was asked for one more");
  std::vector<Tensor> out;  // views, since autograd will make them part of its graph
  const std::vector<Tensor>& call = calls_[next_++];
  for (size_t i = 0; i < call.size(); ++i) {
    if (!call[i].defined() || count_ == tokens_)
      out.push_back(call[i].defined() ? call[i].detach() : call[i]);
    else
      out.push_back(call[i].narrow(token_axes[i], first_, count_).contiguous().detach());
  }
  return out;
}

}  // namespace ingrain::ops
