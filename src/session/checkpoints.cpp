#include "session/checkpoints.h"

#include "ttt/memory_file.h"

#include <algorithm>

namespace ingrain::session {

void Checkpoints::set_budget(uint64_t budget) {
  budget_ = budget;
  make_room(0);
}

void Checkpoints::make_room(uint64_t bytes) {
  for (; bytes_ + bytes > budget_; kept_.pop_front()) bytes_ -= kept_.front().bytes;
}

void Checkpoints::keep(const ttt::Memory& memory) {
  forget_after(memory.position - 1);
  const uint64_t bytes = ttt::memory_bytes(memory);
  if (bytes > budget_) return;
  make_room(bytes);
  kept_.push_back({memory.fork(), bytes});
  bytes_ += bytes;
}

const ttt::Memory* Checkpoints::find(int64_t position) const {
  for (const Kept& kept : kept_)
    if (kept.memory.position == position) return &kept.memory;
  return nullptr;
}

void Checkpoints::forget_after(int64_t position) {
  for (; !kept_.empty() && kept_.back().memory.position > position; kept_.pop_back()) bytes_ -= kept_.back().bytes;
}

std::vector<int64_t> Checkpoints::positions() const {
  std::vector<int64_t> out;
  for (const Kept& kept : kept_) out.push_back(kept.memory.position);
  return out;
}

ttt::ReadResult read(ttt::InnerLoop& loop, Checkpoints& checkpoints, const Tensor& tokens_Bn,
                     const ttt::ReadOptions& options) {
  const Network& model = loop.model();
  const ttt::Memory& memory = loop.memory();
  const int64_t chunk = model.config.chunk, begin = memory.position, end = begin + tokens_Bn.size(1);
  // The boundaries passed are multiples of the chunk in (begin, end].
  const int64_t last = end / chunk, passed = last - begin / chunk;
  // What a memory takes is counted only where there is something to keep.
  const int64_t kept = passed > 0 ? std::min(passed, checkpoints.capacity(ttt::memory_bytes(memory))) : 0;
  if (kept == 0) return loop.read(tokens_Bn, options);
  ttt::ReadResult result;
  result.nll_Bn = at::full(tokens_Bn.sizes(), std::nan(""), model.weights.final_norm_D.options());
  for (int64_t next = last - kept + 1; memory.position < end; ++next) {
    const int64_t first = memory.position - begin, count = std::min(next * chunk, end) - memory.position;
    ttt::ReadOptions part = options;
    if (options.keep_going) part.keep_going = [&](int64_t done) { return options.keep_going(first + done); };
    const ttt::ReadResult read_part = loop.read(tokens_Bn.narrow(1, first, count), part);
    result.nll_Bn.narrow(1, first, count).copy_(read_part.nll_Bn);
    result.tokens_read += read_part.tokens_read;
    if (read_part.tokens_read < count) break;
    if (memory.position % chunk == 0) checkpoints.keep(memory);
    if (options.keep_going && memory.position < end && !options.keep_going(result.tokens_read)) break;
  }
  return result;
}

}  // namespace ingrain::session
