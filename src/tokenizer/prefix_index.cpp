#include "tokenizer/prefix_index.h"

#include <algorithm>

namespace ingrain::tokenizer {

PrefixIndex::PrefixIndex(std::vector<std::pair<std::string_view, int32_t>> words) {
  std::sort(words.begin(), words.end());
  words_.reserve(words.size());
  for (const auto& [word, number] : words) {
    words_.push_back({static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(word.size()), number});
    bytes_ += word;
    ++begins_[static_cast<size_t>(static_cast<uint8_t>(word[0])) + 1];
  }
  for (size_t i = 1; i < begins_.size(); ++i) begins_[i] += begins_[i - 1];
}

void PrefixIndex::narrow(size_t depth, uint8_t byte, uint32_t& low, uint32_t& high) const {
  if (high - low == 1) {
    if (byte_of(low, depth) != byte) high = low;
    return;
  }
  const auto boundary = [&](uint32_t from, int wanted) {  // the first word whose byte is at least `wanted`
    uint32_t to = high;
    while (from < to) {
      const uint32_t middle = from + (to - from) / 2;
      if (byte_of(middle, depth) < wanted)
        from = middle + 1;
      else
        to = middle;
    }
    return from;
  };
  low = boundary(low, byte);
  high = boundary(low, byte + 1);
}

}  // namespace ingrain::tokenizer
