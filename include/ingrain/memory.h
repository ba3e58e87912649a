// What a model has become by reading: fast weights, attention windows, the unfinished chunk, the position.
#pragma once

#include "ingrain/model.h"

namespace ingrain {

enum class MemoryForm {
  working,  // every tensor in the type in which it is computed with: going on from the file gives the same bits
  compact,  // bf16; the fast weights as their difference from the model's own (docs/formats.md: size, loss of
            // precision)
};

/// How far one block's fast weights have moved, in the block with this number: the norm of the difference.
struct BlockChange {
  int64_t block;
  double norm;
};

/// A value of fixed size, however much was read (unless the model's attention has no window, Model::window()). A copy
/// is a fork: nothing is shared with it but the model. Safe to use by one thread at a time; different memories, of one
/// model too, by different threads at once.
class Memory {
 public:
  /// One that has read nothing.
  explicit Memory(Model model);
  Memory(const Memory& other);
  Memory& operator=(const Memory& other);
  Memory(Memory&&) noexcept;
  Memory& operator=(Memory&&) noexcept;
  ~Memory();

  /// Error, naming the file and what is wrong, if it is damaged or belongs to another model (both fingerprints are
  /// named).
  static Memory load(const std::filesystem::path& file, Model model);
  /// The file is whole or absent, never half-written. Kept boundaries are not part of it.
  void save(const std::filesystem::path& file, MemoryForm form = MemoryForm::working) const;

  /// At least so many bytes is the file that save() writes once `more` tokens are read.
  uint64_t least_file_bytes(int64_t more = 0, MemoryForm form = MemoryForm::working) const;

  const Model& model() const;
  int64_t position() const;  // tokens read
  int64_t steps() const;     // inner steps made: one for every chunk that was learnt from
  /// Of its tensors. Constant once the window is full, up to the unfinished chunk; without a window it grows with every
  /// token.
  uint64_t bytes() const;

  /// What was learnt: how far each suffix block's fast weights are from those that the model starts with. Empty where
  /// nothing learns (Model::learns()).
  std::vector<BlockChange> learnt() const;
  /// The same from another memory's. UsageError if that belongs to another model.
  std::vector<BlockChange> distance(const Memory& other) const;

  /// From now on keeps copies of itself at the latest chunk boundaries, as many as fit `bytes`; 0 keeps none (the
  /// default). Of those kept so far, the latest that fit stay.
  void keep_boundaries(uint64_t bytes);
  /// The positions that rewind() knows, rising.
  std::vector<int64_t> boundaries() const;
  /// Becomes what it was at that boundary: as if nothing after it had been read. UsageError if it is not kept.
  void rewind(int64_t position);

  struct State;  // src/api/parts.h
  State& state() { return *state_; }
  const State& state() const { return *state_; }

 private:
  explicit Memory(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ingrain
