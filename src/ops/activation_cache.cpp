#include "ops/activation_cache.h"

namespace ingrain::ops {

thread_local Tape* Tape::active_ = nullptr;

Tape::Scope::Scope(Tape& tape, Mode mode, int64_t first, int64_t count, size_t call) : outer_(active_) {
  tape.mode_ = mode;
  tape.first_ = first;
  tape.count_ = count;
  tape.next_ = call;
  active_ = &tape;
}

Tape::Scope::~Scope() { active_ = outer_; }

std::vector<Tensor> Tape::put(std::vector<Tensor> results, const int64_t* token_axes) {
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

std::vector<Tensor> Tape::take() {
  TORCH_CHECK(next_ < calls_.size(), "a tape of ", calls_.size(), " results was asked for one more");
  std::vector<Tensor> out;  // views, since autograd will make them part of its graph
  for (const Tensor& whole : calls_[next_++]) out.push_back(whole.defined() ? whole.detach() : whole);
  return out;
}

}  // namespace ingrain::ops
