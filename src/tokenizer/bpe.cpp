#include "tokenizer/bpe.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace ingrain::tokenizer {
namespace {

// Below this many symbols, scanning an array for the best pair beats a heap.
constexpr size_t kShortPiece = 64;

}  // namespace

Bpe::Bpe(Symbols symbols, const std::vector<Merge>& merges) : symbols_(std::move(symbols)) {
  const size_t capacity = std::bit_ceil(std::max<size_t>(16, merges.size() * 2));
  shift_ = 64 - std::countr_zero(capacity);
  table_.assign(capacity, {0, kNoRank, Symbols::kNoToken});
  for (const Merge& merge : merges) {
    const uint64_t pair = pair_of(merge.left, merge.right);
    size_t slot = slot_of(pair);
    while (table_[slot].rank != kNoRank && table_[slot].pair != pair) slot = (slot + 1) & (capacity - 1);
    table_[slot] = {pair, merge.rank, merge.result};
  }
}

const Bpe::Entry* Bpe::find(int32_t left, int32_t right) const {
  const uint64_t pair = pair_of(left, right);
  for (size_t slot = slot_of(pair); table_[slot].rank != kNoRank; slot = (slot + 1) & (table_.size() - 1))
    if (table_[slot].pair == pair) return &table_[slot];
  return nullptr;
}

uint32_t Bpe::rank_of(int32_t left, int32_t right) const {
  const Entry* entry = find(left, right);
  return entry ? entry->rank : kNoRank;
}

void Bpe::encode(std::string_view piece, Scratch& scratch, std::vector<int32_t>& out,
                 std::vector<uint32_t>* lengths) const {
  const size_t first = out.size();
  scratch.lengths.clear();
  symbols_.append(piece, out, scratch.lengths);
  if (out.size() - first > kShortPiece)
    merge_long(out, first, scratch);
  else if (out.size() - first > 1)
    merge_short(out, first, scratch);
  if (lengths) lengths->insert(lengths->end(), scratch.lengths.begin(), scratch.lengths.end());
}

// tokens[first..] is the sequence of symbols, scratch.lengths their bytes; ranks[i] is the priority of merging symbols
// i and i+1.
void Bpe::merge_short(std::vector<int32_t>& tokens, size_t first, Scratch& scratch) const {
  int32_t* symbols = tokens.data() + first;
  uint32_t* lengths = scratch.lengths.data();
  size_t count = tokens.size() - first;
  std::vector<uint32_t>& ranks = scratch.ranks;
  ranks.resize(count - 1);
  for (size_t i = 0; i + 1 < count; ++i) ranks[i] = rank_of(symbols[i], symbols[i + 1]);
  while (count > 1) {
    const size_t best = std::min_element(ranks.begin(), ranks.begin() + (count - 1)) - ranks.begin();
    if (ranks[best] == kNoRank) break;
    symbols[best] = find(symbols[best], symbols[best + 1])->result;
    lengths[best] += lengths[best + 1];
    std::copy(symbols + best + 2, symbols + count, symbols + best + 1);
    std::copy(lengths + best + 2, lengths + count, lengths + best + 1);
    std::copy(ranks.begin() + best + 1, ranks.begin() + (count - 1), ranks.begin() + best);
    --count;
    if (best + 1 < count) ranks[best] = rank_of(symbols[best], symbols[best + 1]);
    if (best > 0) ranks[best - 1] = rank_of(symbols[best - 1], symbols[best]);
  }
  tokens.resize(first + count);
  scratch.lengths.resize(count);
}

// A linked list of symbols and a heap of (rank, position). An entry is stale if the pair that begins at its
// position has another rank by now; with an equal rank it may be another pair, whose turn it is as well.
void Bpe::merge_long(std::vector<int32_t>& tokens, size_t first, Scratch& scratch) const {
  int32_t* symbols = tokens.data() + first;
  const auto count = static_cast<uint32_t>(tokens.size() - first);
  auto& ranks = scratch.ranks;
  auto& previous = scratch.previous;
  auto& next = scratch.next;
  auto& heap = scratch.heap;
  ranks.assign(count, kNoRank);
  previous.resize(count);
  next.resize(count);
  heap.clear();
  const auto entry = [](uint32_t rank, uint32_t position) { return static_cast<uint64_t>(rank) << 32 | position; };
  for (uint32_t i = 0; i < count; ++i) {
    previous[i] = i - 1;  // wraps for the first symbol, which is never followed backwards
    next[i] = i + 1;
    if (i + 1 < count) ranks[i] = rank_of(symbols[i], symbols[i + 1]);
    if (ranks[i] != kNoRank) heap.push_back(entry(ranks[i], i));
  }
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  const auto update = [&](uint32_t i) {
    ranks[i] = next[i] < count ? rank_of(symbols[i], symbols[next[i]]) : kNoRank;
    if (ranks[i] == kNoRank) return;
    heap.push_back(entry(ranks[i], i));
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };
  while (!heap.empty()) {
    const auto rank = static_cast<uint32_t>(heap.front() >> 32), i = static_cast<uint32_t>(heap.front());
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    heap.pop_back();
    if (ranks[i] != rank) continue;
    const uint32_t absorbed = next[i];
    symbols[i] = find(symbols[i], symbols[absorbed])->result;
    scratch.lengths[i] += scratch.lengths[absorbed];
    ranks[absorbed] = kNoRank;
    next[i] = next[absorbed];
    if (next[i] < count) previous[next[i]] = i;
    update(i);
    if (i > 0) update(previous[i]);
  }
  uint32_t kept = 0;
  for (uint32_t i = 0; i < count; i = next[i]) {
    scratch.lengths[kept] = scratch.lengths[i];
    symbols[kept++] = symbols[i];
  }
  tokens.resize(first + kept);
  scratch.lengths.resize(kept);
}

}  // namespace ingrain::tokenizer
