// Remembers the tokens of pieces seen before: ordinary text repeats its words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain::tokenizer {

/// A direct-mapped table with its keys and values in two arenas; forgets everything when they are full.
/// One thread at a time.
class WordCache {
 public:
  WordCache() : slots_(kSlotCount) {}

  /// Appends the tokens of `piece` to `out`; compute(ids) appends them to `ids` where they are not remembered.
  template <class Compute>
  void append(std::string_view piece, std::vector<int32_t>& out, Compute&& compute) {
    if (piece.size() > kMaxPiece) return compute(out);
    const uint64_t hash = hash_of(piece);
    Slot& slot = slots_[hash & (kSlotCount - 1)];
    if (slot.hash == hash && slot.size == piece.size() &&
        piece == std::string_view(bytes_).substr(slot.bytes_at, slot.size)) {
      out.insert(out.end(), ids_.begin() + slot.ids_at, ids_.begin() + slot.ids_at + slot.id_count);
      return;
    }
    const size_t first = out.size();
    compute(out);
    remember(slot, hash, piece, out, first);
  }

 private:
  static constexpr size_t kSlotCount = 1 << 15, kMaxPiece = 48, kMaxBytes = 2 << 20;
  struct Slot {
    uint64_t hash = 0;
    uint32_t bytes_at = 0, ids_at = 0;
    uint16_t size = 0, id_count = 0;  // an empty slot has size 0: pieces are never empty
  };

  static uint64_t hash_of(std::string_view piece);
  void remember(Slot& slot, uint64_t hash, std::string_view piece, const std::vector<int32_t>& ids, size_t first);

  std::vector<Slot> slots_;
  std::string bytes_;
  std::vector<int32_t> ids_;
};

}  // namespace ingrain::tokenizer
