#include "api/parts.h"
#include "base/error.h"
#include "ttt/memory_file.h"

namespace ingrain {

Memory::Memory(std::unique_ptr<State> state) : state_(std::move(state)) {}
Memory::Memory(Memory&&) noexcept = default;
Memory& Memory::operator=(Memory&&) noexcept = default;
Memory::~Memory() = default;

Memory::Memory(Model model) {
  ttt::Memory nothing_read = ttt::empty_memory(model.parts().network);
  state_ = std::make_unique<State>(State{std::move(model), std::move(nothing_read), ttt::BoundaryRing()});
}

// The boundaries are never written to, so that copies may share their tensors.
Memory::Memory(const Memory& other)
    : state_(
          std::make_unique<State>(State{other.state_->model, other.state_->memory.fork(), other.state_->boundaries})) {}

Memory& Memory::operator=(const Memory& other) {
  if (this != &other) *this = Memory(other);
  return *this;
}

Memory Memory::load(const std::filesystem::path& file, Model model) {
  ttt::Memory memory = ttt::load_memory(file, model.parts().network);
  require(memory.batch() == 1,
          "{}: a memory of {} sequences; here a memory is of one: read each of them into a memory of its own",
          file.string(), memory.batch());
  return Memory(std::make_unique<State>(State{std::move(model), std::move(memory), ttt::BoundaryRing()}));
}

void Memory::save(const std::filesystem::path& file, MemoryForm form) const {
  ttt::save_memory(file, state_->network(), state_->memory, form);
}

const Model& Memory::model() const { return state_->model; }
int64_t Memory::position() const { return state_->memory.position; }
int64_t Memory::steps() const { return state_->memory.steps; }
uint64_t Memory::bytes() const { return ttt::memory_bytes(state_->memory); }

void Memory::keep_boundaries(uint64_t bytes) { state_->boundaries.set_budget(bytes); }
std::vector<int64_t> Memory::boundaries() const { return state_->boundaries.positions(); }

void Memory::rewind(int64_t position) {
  const ttt::Memory* then = state_->boundaries.find(position);
  if (!then) fail_usage("position {} is not kept; these are: {}", position, fmt::join(boundaries(), ", "));
  state_->memory = then->fork();
  state_->boundaries.forget_after(position);
}

}  // namespace ingrain
