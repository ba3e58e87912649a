#include "api/parts.h"
#include "base/error.h"
#include "ttt/memory_file.h"

#include <cmath>

namespace ingrain {
namespace {

double square_sum(const Tensor& from, const Tensor& to) {
  return (to - from.to(to.device())).to(at::kDouble).square().sum().item<double>();
}

std::vector<BlockChange> changes(const Network& network, const std::vector<Mlp>& from_S, const std::vector<Mlp>& to_S) {
  const at::NoGradGuard no_grad;
  std::vector<BlockChange> out;
  for (size_t s = 0; s < to_S.size(); ++s)
    out.push_back(
        {network.config.prefix_len() + static_cast<int64_t>(s),
         std::sqrt(square_sum(from_S[s].w13_FD, to_S[s].w13_FD) + square_sum(from_S[s].w2_DF, to_S[s].w2_DF))});
  return out;
}

}  // namespace

Memory::Memory(std::unique_ptr<State> state) : state_(std::move(state)) {}
Memory::Memory(Memory&&) noexcept = default;
Memory& Memory::operator=(Memory&&) noexcept = default;
Memory::~Memory() = default;

Memory::Memory(Model model) {
  ttt::Memory nothing_read = ttt::empty_memory(model.parts().network);
  state_ = std::make_unique<State>(std::move(model), std::move(nothing_read));
}

// Checkpoints are never written to, so that copies may share their tensors.
Memory::Memory(const Memory& other)
    : state_(std::make_unique<State>(other.state_->model, other.state_->session.snapshot(),
                                     other.state_->session.checkpoints())) {}

Memory& Memory::operator=(const Memory& other) {
  if (this == &other) return *this;
  if (!state_ || &state_->network() != &other.state_->network()) return *this = Memory(other);
  session::Session &here = state_->session, &there = other.state_->session;
  here.become(there.snapshot());
  here.checkpoints() = there.checkpoints();
  return *this;
}

Memory Memory::load(const std::filesystem::path& file, Model model) {
  ttt::Memory memory = ttt::load_memory(file, model.parts().network);
  require(memory.batch() == 1,
          "{}: a memory of {} sequences; here a memory is of one: read each of them into a memory of its own",
          file.string(), memory.batch());
  return Memory(std::make_unique<State>(std::move(model), std::move(memory)));
}

void Memory::save(const std::filesystem::path& file, MemoryForm form) const {
  ttt::save_memory(file, state_->network(), state_->session.memory(), form);
}

uint64_t Memory::least_file_bytes(int64_t more, MemoryForm form) const {
  return ttt::least_file_bytes(state_->network(), position() + more, form);
}

const Model& Memory::model() const { return state_->model; }
int64_t Memory::position() const { return state_->session.position(); }
int64_t Memory::steps() const { return state_->session.steps(); }
uint64_t Memory::bytes() const { return ttt::memory_bytes(state_->session.memory()); }

std::vector<BlockChange> Memory::learnt() const {
  return changes(state_->network(), state_->network().weights.fast_S, state_->session.memory().W_S);
}

std::vector<BlockChange> Memory::distance(const Memory& other) const {
  const std::string &here = model().fingerprint(), &there = other.model().fingerprint();
  if (here != there) fail_usage("one memory belongs to the model {}, the other to {}", here, there);
  return changes(state_->network(), other.state_->session.memory().W_S, state_->session.memory().W_S);
}

void Memory::keep_boundaries(uint64_t bytes) { state_->session.checkpoints().set_budget(bytes); }
std::vector<int64_t> Memory::boundaries() const { return state_->session.checkpoints().positions(); }

void Memory::rewind(int64_t position) {
  if (!state_->session.rewind(position))
    fail_usage("position {} is not kept; these are: {}", position, fmt::join(boundaries(), ", "));
}

}  // namespace ingrain
