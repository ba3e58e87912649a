#include "serve/engine/states.h"

#include "base/error.h"
#include "chat/common_prefix.h"
#include "serve/store/ids.h"
#include "ttt/memory_file.h"

#include <algorithm>
#include <cstring>

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

/// A root without its owner, as it is hashed and stored: "BASE#LEARN".
std::string name_of(const Root& root) { return root.base + '#' + std::to_string(static_cast<int>(root.learn)); }

Root root_of(const StateRow& row) {
  const size_t cut = row.base.rfind('#');
  require(cut != row.base.npos && cut + 2 == row.base.size() && row.base[cut + 1] >= '0' && row.base[cut + 1] <= '2',
          "the store's state {} has the base '{}', which this version does not know", row.id, row.base);
  return {row.owner, row.base.substr(0, cut), static_cast<Learn>(row.base[cut + 1] - '0')};
}

constexpr int32_t kReadPart = -1, kWrittenPart = -2;

/// A row's tokens: int32, little endian, those of the text; then, if something else was read, or in another way, each
/// part of that after a number which no token has and the count of its tokens.
std::string packed_tokens(std::span<const int32_t> tokens, const std::vector<ReadPart>& read) {
  std::vector<int32_t> all(tokens.begin(), tokens.end());
  for (const ReadPart& part : read) {
    all.insert(all.end(), {part.written ? kWrittenPart : kReadPart, static_cast<int32_t>(part.tokens.size())});
    all.insert(all.end(), part.tokens.begin(), part.tokens.end());
  }
  return {reinterpret_cast<const char*>(all.data()), all.size() * sizeof(int32_t)};
}

void unpack_tokens(const StateRow& row, Node& node) {
  std::vector<int32_t> all(row.tokens.size() / sizeof(int32_t));
  std::memcpy(all.data(), row.tokens.data(), all.size() * sizeof(int32_t));
  auto at = std::find_if(all.begin(), all.end(), [](int32_t token) { return token < 0; });
  node.tokens.assign(all.begin(), at);
  while (at != all.end()) {
    const bool whole = all.end() - at >= 2 && at[1] >= 0 && at[1] <= all.end() - at - 2 && at[0] >= kWrittenPart;
    require(whole, "the store's state {} is damaged: its tokens end amid a part", row.id);
    node.read.push_back({{at + 2, at + 2 + at[1]}, at[0] == kWrittenPart});
    at += 2 + at[1];
  }
}

TextHash hash_of(const StateRow& row) { return {row.length, row.hash_high, row.hash_low}; }

bool holds(std::span<const TextHash> falling, const TextHash& hash) {
  const auto found = std::lower_bound(falling.begin(), falling.end(), hash,
                                      [](const TextHash& a, const TextHash& b) { return a.length > b.length; });
  return found != falling.end() && *found == hash;
}

std::shared_ptr<Node> node_of(const StateRow& row, const NodePtr& parent) {
  auto out = std::make_shared<Node>();
  out->id = row.id;
  out->root = root_of(row);
  out->parent = parent;
  unpack_tokens(row, *out);
  out->hash = hash_of(row);
  out->position = row.position;
  out->steps = row.steps;
  out->bytes = row.bytes;
  out->on_disk = row.has_file;
  out->in_records = true;
  return out;
}

/// Without its tokens and what they follow on.
StateRow row_of(const Node& node, const std::string& model) {
  StateRow out;
  out.id = node.id;
  out.owner = node.root.owner;
  out.base = name_of(node.root);
  out.model = model;
  out.length = node.hash.length;
  out.hash_high = node.hash.high;
  out.hash_low = node.hash.low;
  out.position = node.position;
  out.steps = node.steps;
  out.bytes = node.bytes;
  return out;
}

}  // namespace

// Not by recursion: a conversation's states may be more than a stack has room for.
Node::~Node() {
  thread_local std::vector<NodePtr>* ending = nullptr;  // of the outermost call
  if (!parent) return;
  if (ending) {
    ending->push_back(std::move(parent));
    return;
  }
  std::vector<NodePtr> mine;
  mine.push_back(std::move(parent));
  ending = &mine;
  while (!mine.empty()) {
    const NodePtr next = std::move(mine.back());
    mine.pop_back();
  }
  ending = nullptr;
}

std::vector<int32_t> Node::text() const {
  std::vector<const Node*> chain;
  for (const Node* node = this; node; node = node->parent.get()) chain.push_back(node);
  std::vector<int32_t> out;
  for (auto node = chain.rbegin(); node != chain.rend(); ++node)
    out.insert(out.end(), (*node)->tokens.begin(), (*node)->tokens.end());
  return out;
}

int64_t Node::tokens_read() const {
  int64_t out = 0;
  for (const Node* node = this; node; node = node->parent.get()) {
    if (node->read.empty()) out += std::ssize(node->tokens);
    for (const ReadPart& part : node->read) out += std::ssize(part.tokens);
  }
  return out;
}

std::vector<ReadPart> Node::read_since(const Node* earlier) const {
  std::vector<const Node*> chain;
  for (const Node* node = this; node && node != earlier; node = node->parent.get()) chain.push_back(node);
  std::vector<ReadPart> out;
  for (auto node = chain.rbegin(); node != chain.rend(); ++node) {
    if (!(*node)->read.empty())
      out.insert(out.end(), (*node)->read.begin(), (*node)->read.end());
    else if (!(*node)->tokens.empty())
      out.push_back({(*node)->tokens});
  }
  return out;
}

States::States(const Model& model, std::shared_ptr<Records> records, const EngineOptions& options)
    : model_(model),
      records_(std::move(records)),
      memory_budget_(options.memory_budget),
      files_(model, records_, options) {}

// Under the lock, all of these to keep_budget().

NodePtr States::alive(const std::string& id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second.lock();
}

void States::note(const NodePtr& node) {
  by_id_[node->id] = node;
  if (by_id_.size() < sweep_at_) return;
  std::erase_if(by_id_, [](const auto& entry) { return entry.second.expired(); });
  sweep_at_ = 2 * by_id_.size() + 1024;
}

void States::use(const NodePtr& node) {
  auto entry = by_use_.extract(node->used);
  node->used = ++clock_;
  if (entry.empty()) return;
  entry.key() = node->used;
  by_use_.insert(std::move(entry));
}

void States::settle(const NodePtr& node, std::shared_ptr<const ttt::Memory> memory) {
  node->memory = std::move(memory);
  node->used = ++clock_;
  by_use_.emplace(node->used, node);
  by_text_.emplace(node->hash.high, node);
  bytes_in_ram_.add(*node->memory);
}

/// Its tensors, to be let go of without the lock.
std::shared_ptr<const ttt::Memory> States::unsettle(const NodePtr& node) {
  if (!node->memory) return nullptr;
  by_use_.erase(node->used);
  const auto [begin, end] = by_text_.equal_range(node->hash.high);
  by_text_.erase(std::find_if(begin, end, [&](const auto& entry) { return entry.second == node; }));
  bytes_in_ram_.remove(*node->memory);
  return std::exchange(node->memory, nullptr);
}

/// The least recently used leave RAM; those that are nowhere else are gone. What somebody works with stays.
States::Evicted States::keep_budget() {
  Evicted out;
  const uint64_t budget = memory_budget_ - std::min(memory_budget_, working_bytes_ + outside_bytes_);
  for (auto next = by_use_.begin(); bytes_in_ram_.bytes() > budget && next != by_use_.end();) {
    const NodePtr node = (next++)->second;
    if (node->memory.use_count() == 1) out.push_back(unsettle(node));
  }
  return out;
}

/// From the store, with all that it follows on; nullptr if it isn't there.
NodePtr States::stored(const std::string& id) {
  if (!files_.any()) return nullptr;
  const std::vector<StateRow> rows = records_->ancestry(id);
  if (rows.empty() || rows.back().model != model_.fingerprint()) return nullptr;
  NodePtr node;
  std::lock_guard lock(mutex_);
  for (const StateRow& row : rows) {
    NodePtr known = alive(row.id);
    if (!known) note(known = node_of(row, node));
    node = std::move(known);
  }
  return node;
}

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
      if (Found found = going_on(node, tokens); found.node) return found;
    }
  }
  Found nothing{nullptr, nullptr, {tokens.begin(), tokens.end()}};
  if (root.base.empty()) return nothing;
  nothing.node = get(root.owner, root.base);
  nothing.memory = memory(nothing.node);
  return nothing;
}

NodePtr States::get(const Owner& owner, const std::string& id) {
  NodePtr out;
  {
    std::lock_guard lock(mutex_);
    out = alive(id);
  }
  if (!out) out = stored(id);
  if (!out || out->root.owner != owner) throw NotFound(fmt::format("there is no state '{}' (any more)", id));
  return out;
}

NodePtr States::of_root(const Root& root, const std::string& id) {
  if (id.empty()) return nullptr;
  try {
    NodePtr node = get(root.owner, id);
    return node->root == root ? node : nullptr;
  } catch (const NotFound&) {
    return nullptr;
  }
}

std::shared_ptr<const ttt::Memory> States::memory(const NodePtr& node) {
  {
    std::lock_guard lock(mutex_);
    use(node);
    if (node->memory) return node->memory;
  }
  if (!files_.any()) throw NotFound(fmt::format("the state '{}' is no longer kept", node->id));
  auto loaded = std::make_shared<const ttt::Memory>(files_.load(node->id));
  Evicted evicted;
  std::lock_guard lock(mutex_);
  if (node->memory) return node->memory;
  settle(node, loaded);
  evicted = keep_budget();
  return loaded;
}

States::Added States::enter(std::shared_ptr<Node> node, std::shared_ptr<const ttt::Memory> memory) {
  node->position = memory->position;
  node->steps = memory->steps;
  node->bytes = ttt::memory_bytes(*memory);
  Evicted evicted;
  std::lock_guard lock(mutex_);
  for (const NodePtr& same : in_ram(node->root, {&node->hash, 1})) {
    if (same->position != node->position) continue;
    use(same);
    return {same, same->memory};
  }
  note(node);
  settle(node, memory);
  evicted = keep_budget();
  return {node, std::move(memory)};
}

States::Found States::beginning_of(NodePtr node, const Root& root, std::span<const int32_t> tokens) const {
  constexpr int kFarthest = 8;
  for (int i = 0; i < kFarthest && node && node->root == root; ++i, node = node->parent)
    if (auto rest = left_after(model_.parts().tokenizer(), *node, tokens)) return {node, nullptr, std::move(*rest)};
  return {nullptr, nullptr, {tokens.begin(), tokens.end()}};
}

States::Added States::add(const Root& root, const NodePtr& parent, std::span<const int32_t> tokens,
                          std::shared_ptr<const ttt::Memory> memory, std::vector<ReadPart> read) {
  auto node = std::make_shared<Node>();
  node->id = random_id("st_");
  node->root = root;
  if (parent && parent->root == root) node->parent = parent;
  node->tokens.assign(tokens.begin(), tokens.end());
  node->read = std::move(read);
  node->hash = hash(root, node->text());
  return enter(std::move(node), std::move(memory));
}

TextHash States::hash(const Root& root, std::span<const int32_t> tokens) const {
  TextHasher hasher(name_of(root));
  for (const int32_t token : tokens) hasher.add(model_.parts().tokenizer(), token);
  return hasher.hash();
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

States::Added States::add_base(const Owner& owner, ttt::Memory memory) {
  auto node = std::make_shared<Node>();
  node->id = random_id("st_");
  node->root = {owner, node->id, Learn::all};
  node->hash = TextHasher(name_of(node->root)).hash();
  return enter(std::move(node), std::make_shared<const ttt::Memory>(std::move(memory)));
}

std::shared_ptr<const ttt::Memory> States::restore(const NodePtr& node, std::shared_ptr<const ttt::Memory> memory) {
  require(memory->position == node->position && memory->steps == node->steps,
          "the state {} was read again, and is another: {} tokens and {} steps where it had {} and {}", node->id,
          memory->position, memory->steps, node->position, node->steps);
  Evicted evicted;
  std::lock_guard lock(mutex_);
  if (node->memory) return node->memory;
  settle(node, memory);
  evicted = keep_budget();
  return memory;
}

void States::trim() {
  Evicted evicted;
  std::lock_guard lock(mutex_);
  evicted = keep_budget();
}

void States::set_working_bytes(uint64_t bytes) {
  Evicted evicted;
  std::lock_guard lock(mutex_);
  working_bytes_ = bytes;
  evicted = keep_budget();
}

void States::set_outside_bytes(uint64_t bytes) {
  Evicted evicted;
  std::lock_guard lock(mutex_);
  outside_bytes_ = bytes;
  evicted = keep_budget();
}

void States::persist(const NodePtr& node) {
  if (!files_.any()) return;
  std::shared_ptr<const ttt::Memory> memory;
  StateRow row = row_of(*node, model_.fingerprint());
  {
    std::lock_guard lock(mutex_);
    if (node->on_disk) return;
    memory = node->memory;
    // Its tokens since the nearest state that the store has.
    std::vector<const Node*> chain{node.get()};
    const Node* known = node->parent.get();
    for (; known && !known->in_records; known = known->parent.get()) chain.push_back(known);
    std::vector<int32_t> tokens;
    bool plain = chain.size() == 1;
    for (auto part = chain.rbegin(); part != chain.rend(); ++part) {
      tokens.insert(tokens.end(), (*part)->tokens.begin(), (*part)->tokens.end());
      plain = plain && (*part)->read.empty();
    }
    row.parent = known ? known->id : "";
    row.tokens = packed_tokens(tokens, plain ? std::vector<ReadPart>() : node->read_since(known));
  }
  require(memory != nullptr, "a state is no longer in memory and cannot be kept; raise --memory-budget");
  files_.put(std::move(row), *memory);
  {
    std::lock_guard lock(mutex_);
    node->on_disk = node->in_records = true;
  }
  const std::vector<std::string> dropped = files_.keep_limits();
  std::lock_guard lock(mutex_);
  for (const std::string& id : dropped)
    if (const NodePtr gone = alive(id)) gone->on_disk = false;
}

void States::forget(const NodePtr& node) {
  std::shared_ptr<const ttt::Memory> memory;
  bool was_on_disk = false;
  {
    std::lock_guard lock(mutex_);
    memory = unsettle(node);
    was_on_disk = std::exchange(node->on_disk, false);
  }
  if (was_on_disk) files_.remove(node->id, node->bytes);
}

void States::count(EngineStats& stats) const {
  const auto [files, bytes] = files_.size();
  stats.states = files;
  stats.state_bytes_on_disk = bytes;
  std::lock_guard lock(mutex_);
  for (const auto& [used, node] : by_use_) stats.states += !node->on_disk;
  stats.states_in_memory = static_cast<int64_t>(by_use_.size());
  stats.state_bytes_in_memory = bytes_in_ram_.bytes();
  stats.working_bytes = working_bytes_;
  stats.outside_bytes = outside_bytes_;
}

}  // namespace ingrain::serve
