#include "tokenizer/word_cache.h"

#include <algorithm>
#include <cstring>

namespace ingrain::tokenizer {

// Multiply and fold, eight bytes at a time.
uint64_t WordCache::hash_of(std::string_view piece) {
  constexpr uint64_t odd = 0x9E3779B97F4A7C15u;
  uint64_t hash = piece.size() * odd;
  const auto mix = [&hash](uint64_t block) {
    const auto product = static_cast<unsigned __int128>(hash ^ block) * odd;
    hash = static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  };
  uint64_t block = 0;
  size_t i = 0;
  for (; i + 8 <= piece.size(); i += 8) {
    std::memcpy(&block, piece.data() + i, 8);
    mix(block);
  }
  block = 0;
  std::memcpy(&block, piece.data() + i, piece.size() - i);
  mix(block);
  return hash;
}

void WordCache::remember(Slot& slot, uint64_t hash, std::string_view piece, const std::vector<int32_t>& ids,
                         size_t first) {
  if (bytes_.size() + piece.size() > kMaxBytes) {
    std::fill(slots_.begin(), slots_.end(), Slot{});
    bytes_.clear();
    ids_.clear();
  }
  slot = {hash, static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(ids_.size()),
          static_cast<uint16_t>(piece.size()), static_cast<uint16_t>(ids.size() - first)};
  bytes_ += piece;
  ids_.insert(ids_.end(), ids.begin() + static_cast<ptrdiff_t>(first), ids.end());
}

}  // namespace ingrain::tokenizer
