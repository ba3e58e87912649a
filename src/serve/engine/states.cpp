#include "serve/engine/states.h"

#include "base/error.h"
#include "serve/engine/state_rows.h"
#include "serve/store/ids.h"
#include "ttt/memory_file.h"

#include <algorithm>

namespace ingrain::serve {

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
  loaded_.push_back(node->id);
  if (node->memory) return node->memory;
  settle(node, loaded);
  evicted = keep_budget();
  return loaded;
}

std::future<std::shared_ptr<const ttt::Memory>> States::load_ahead(const NodePtr& node) {
  if (!node || !files_.any()) return {};
  {
    std::lock_guard lock(mutex_);
    if (node->memory) return {};
  }
  return std::async(std::launch::async, [this, node] { return memory(node); });
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
  hasher.add(model_.parts().tokenizer(), tokens);
  return hasher.hash();
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
  std::vector<std::string> loaded;
  {
    std::lock_guard lock(mutex_);
    evicted = keep_budget();
    loaded.swap(loaded_);
  }
  for (const std::string& id : loaded) files_.touch(id);
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
    row.tokens = serialized_tokens(tokens, plain ? std::vector<ReadPart>() : node->read_since(known));
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
