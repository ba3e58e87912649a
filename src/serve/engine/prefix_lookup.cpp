// What of a prompt is known: the state that has read the longest beginning of its text.
#include "serve/engine/states.h"

#include "chat/common_prefix.h"
#include "serve/engine/state_rows.h"

#include <algorithm>

namespace ingrain::serve {
namespace {

/// What is left of `tokens` to read after the node's text; nothing if they do not begin with it.
std::optional<std::vector<int32_t>> left_after(const tokenizer::Tokenizer& tokenizer, const Node& node,
                                               std::span<const int32_t> tokens) {
  const std::vector<int32_t> text = node.text();
  chat::CommonPrefix common = chat::common_prefix(tokenizer, text, tokens);
  if (common.read != text.size()) return std::nullopt;
  return std::move(common.rest);
}

bool holds(std::span<const TextHash> falling, const TextHash& hash) {
  const auto found = std::lower_bound(falling.begin(), falling.end(), hash,
                                      [](const TextHash& a, const TextHash& b) { return a.length > b.length; });
  return found != falling.end() && *found == hash;
}

}  // namespace

/// Those of a text with one of these hashes, the longest first. REQUIRES: the lock.
std::vector<NodePtr> States::in_ram(const Root& root, std::span<const TextHash> falling) const {
  std::vector<NodePtr> out;
  for (const TextHash& hash : falling) {
    const auto [begin, end] = by_text_.equal_range(hash.high);
    for (auto entry = begin; entry != end; ++entry)
      if (entry->second->hash == hash && entry->second->root == root) out.push_back(entry->second);
  }
  return out;
}

/// What is left to read after it; no node if its text is another, or its tensors are gone.
States::Found States::going_on(const NodePtr& node, std::span<const int32_t> tokens) {
  auto rest = left_after(model_.parts().tokenizer(), *node, tokens);
  if (!rest) return {};
  try {
    return {node, memory(node), std::move(*rest)};
  } catch (const NotFound&) {
    auto out = from_earlier(node);
    if (!out) return {};
    out->rest = std::move(*rest);
    return std::move(*out);
  }
}

/// How a state whose tensors are gone is made again; nothing if that cannot be.
std::optional<States::Found> States::from_earlier(const NodePtr& node) {
  Found out{node, nullptr, {}};
  const Node* earlier = nullptr;
  int64_t position = 0;
  const auto begin_from = [&](const NodePtr& from) {
    try {
      out.memory = memory(from);
      position = from->position;
      return true;
    } catch (const NotFound&) {
      return false;
    }
  };
  for (NodePtr from = node->parent; from && !out.memory; from = from->parent)
    if (begin_from(from)) earlier = from.get();
  try {
    if (!out.memory && !node->root.base.empty() && !begin_from(get(node->root.owner, node->root.base)))
      return std::nullopt;
  } catch (const NotFound&) {
    return std::nullopt;
  }
  out.again = node->read_since(earlier);
  for (const ReadPart& part : out.again) {
    position += std::ssize(part.tokens);
    for (const int32_t token : part.tokens)
      if (token < 0 || token >= model_.parts().network.config.vocab_size) return std::nullopt;
  }
  if (position != node->position) return std::nullopt;
  return out;
}

States::Found States::find(const Root& root, std::span<const int32_t> tokens) {
  const std::string base = name_of(root);
  Beginnings beginnings(model_.parts().tokenizer(), base, tokens);
  for (auto hashes = beginnings.next(); !hashes.empty(); hashes = beginnings.next()) {
    std::vector<NodePtr> here;
    {
      std::lock_guard lock(mutex_);
      here = in_ram(root, hashes);
    }
    std::vector<StateRow> there;
    if (files_.any()) {
      std::vector<uint64_t> high;
      for (const TextHash& hash : hashes) high.push_back(hash.high);
      there = records_->states_of_text(root.owner, model_.fingerprint(), high);
      std::erase_if(there, [&](const StateRow& row) { return row.base != base || !holds(hashes, hash_of(row)); });
    }
    auto row = there.begin();
    for (size_t i = 0; i < here.size() || row != there.end();) {
      const bool in_ram_first = i < here.size() && (row == there.end() || here[i]->hash.length >= row->length);
      const NodePtr node = in_ram_first ? here[i++] : stored((row++)->id);
      if (!node) continue;
      Found found = going_on(node, tokens);
      if (!found.node) continue;
      found.text = beginnings.whole();
      return found;
    }
  }
  Found nothing{nullptr, nullptr, {tokens.begin(), tokens.end()}, {}, beginnings.whole()};
  if (root.base.empty()) return nothing;
  nothing.node = get(root.owner, root.base);
  nothing.memory = memory(nothing.node);
  return nothing;
}

States::Found States::beginning_of(NodePtr node, const Root& root, std::span<const int32_t> tokens) const {
  constexpr int kFarthest = 8;
  for (int i = 0; i < kFarthest && node && node->root == root; ++i, node = node->parent)
    if (auto rest = left_after(model_.parts().tokenizer(), *node, tokens)) return {node, nullptr, std::move(*rest)};
  return {nullptr, nullptr, {tokens.begin(), tokens.end()}};
}

std::optional<States::Added> States::known(const Root& root, const NodePtr& parent, std::span<const int32_t> tokens,
                                           const TextHash& hash) {
  std::vector<NodePtr> here;
  {
    std::lock_guard lock(mutex_);
    here = in_ram(root, {&hash, 1});
  }
  const int64_t position = (parent ? parent->position : 0) + static_cast<int64_t>(tokens.size());
  for (const NodePtr& node : here) {
    if (node->position != position) continue;
    std::vector<int32_t> text = parent && parent->root == root ? parent->text() : std::vector<int32_t>();
    text.insert(text.end(), tokens.begin(), tokens.end());
    const auto rest = left_after(model_.parts().tokenizer(), *node, text);
    if (!rest || !rest->empty()) continue;
    std::lock_guard lock(mutex_);
    if (!node->memory) continue;  // it has left meanwhile
    use(node);
    return Added{node, node->memory};
  }
  return std::nullopt;
}

}  // namespace ingrain::serve
