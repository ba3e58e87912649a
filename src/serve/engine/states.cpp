#include "serve/engine/states.h"

#include "base/clock.h"
#include "api/parts.h"
#include "base/error.h"
#include "base/unfinished.h"
#include "chat/common_prefix.h"
#include "serve/store/ids.h"
#include "ttt/memory_file.h"

#include <algorithm>
#include <cstring>
#include <set>

namespace ingrain::serve {
namespace {

constexpr const char* kExtension = ".memory";

/// A root without its owner, as it is hashed and stored: "BASE#LEARN".
std::string name_of(const Root& root) { return root.base + '#' + std::to_string(static_cast<int>(root.learn)); }

Root root_of(const StateRow& row) {
  const size_t cut = row.base.rfind('#');
  require(cut != row.base.npos && cut + 2 == row.base.size() && row.base[cut + 1] >= '0' && row.base[cut + 1] <= '2',
          "the store's state {} has the base '{}', which this version does not know", row.id, row.base);
  return {row.owner, row.base.substr(0, cut), static_cast<Learn>(row.base[cut + 1] - '0')};
}

std::string packed(std::span<const int32_t> tokens) {
  return {reinterpret_cast<const char*>(tokens.data()), tokens.size_bytes()};
}

std::vector<int32_t> unpacked(const std::string& bytes) {
  std::vector<int32_t> out(bytes.size() / sizeof(int32_t));
  std::memcpy(out.data(), bytes.data(), out.size() * sizeof(int32_t));
  return out;
}

}  // namespace

std::vector<int32_t> Node::text() const {
  std::vector<const Node*> chain;
  for (const Node* node = this; node; node = node->parent.get()) chain.push_back(node);
  std::vector<int32_t> out;
  for (auto node = chain.rbegin(); node != chain.rend(); ++node)
    out.insert(out.end(), (*node)->tokens.begin(), (*node)->tokens.end());
  return out;
}

States::States(const Model& model, std::shared_ptr<Records> records, const EngineOptions& options)
    : model_(model), records_(std::move(records)), options_(options) {
  if (options_.folder.empty()) return;
  std::filesystem::create_directories(options_.folder);
  remove_dead_unfinished(options_.folder);
  std::set<std::string> filed;
  for (const StateRow& row : records_->states_by_use()) {
    if (!row.has_file) continue;
    if (std::filesystem::exists(file_of(row.id))) {
      filed.insert(row.id);
      bytes_on_disk_ += row.bytes;
    } else {
      records_->set_file(row.id, false);
    }
  }
  // A server that was killed between a state's file and its row leaves the file. Another server that shares the folder
  // may be between the two just now.
  const auto an_hour_ago = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(options_.folder))
    if (entry.path().extension() == kExtension && !filed.contains(entry.path().stem().string()) &&
        entry.last_write_time(ignored) < an_hour_ago)
      std::filesystem::remove(entry.path(), ignored);
}

std::filesystem::path States::file_of(const std::string& id) const { return options_.folder / (id + kExtension); }

void States::enter(const NodePtr& node) {
  by_id_[node->id] = node;
  by_text_[node->root].emplace(node->hash.length, node);
}

/// REQUIRES: the lock. The rows of states that this process has not seen yet.
NodePtr States::from_row(const StateRow& row) {
  if (const auto known = by_id_.find(row.id); known != by_id_.end()) return known->second;
  auto node = std::make_shared<Node>();
  node->id = row.id;
  node->root = root_of(row);
  if (!row.parent.empty()) {
    const auto parent = records_->state(row.parent);
    if (!parent) return nullptr;
    node->parent = from_row(*parent);
    if (!node->parent) return nullptr;
  }
  // Lists of rows come without tokens.
  if (const auto whole = row.tokens.empty() ? records_->state(row.id) : std::optional(row))
    node->tokens = unpacked(whole->tokens);
  else
    return nullptr;
  node->hash = {row.length, row.hash_high, row.hash_low};
  node->position = row.position;
  node->steps = row.steps;
  node->bytes = row.bytes;
  node->on_disk = row.has_file;
  node->in_records = true;
  node->used = ++clock_;
  enter(node);
  return node;
}

/// REQUIRES: the lock. What is new in the store, by this server before it was restarted or by another.
void States::learn_of(const Owner& owner) {
  if (options_.folder.empty()) return;
  int64_t& known = known_[owner];
  for (const StateRow& row : records_->states_after(owner, model_.fingerprint(), known)) {
    from_row(row);
    known = std::max(known, row.order);
  }
}

States::Found States::find(const Root& root, std::span<const int32_t> tokens) {
  const tokenizer::Tokenizer& tokenizer = model_.parts().tokenizer;
  std::vector<NodePtr> candidates;  // by rising length
  {
    std::lock_guard lock(mutex_);
    learn_of(root.owner);
    const auto texts = by_text_.find(root);
    if (texts != by_text_.end()) {
      TextHasher hasher(name_of(root));
      auto next = texts->second.begin();
      uint64_t length = hasher.hash().length;
      const auto compare = [&](const TextHash& hash) {
        for (; next != texts->second.end() && next->first == hash.length; ++next)
          if (next->second->hash == hash && (next->second->memory || next->second->on_disk))
            candidates.push_back(next->second);
      };
      compare(hasher.hash());
      for (size_t i = 0; i < tokens.size() && next != texts->second.end(); ++i) {
        // A text may end within a token of this one: "ab" goes on from "a".
        const bool special = tokenizer.is_special(tokens[i]);
        const std::string_view bytes = special ? std::string_view() : tokenizer.id_to_bytes(tokens[i]);
        while (next != texts->second.end() && next->first < length + bytes.size()) {
          TextHasher within = hasher;
          within.add_bytes(bytes.substr(0, next->first - length));
          compare(within.hash());
        }
        hasher.add(tokenizer, tokens[i]);
        const uint64_t after = hasher.hash().length;
        next = std::find_if(next, texts->second.end(), [&](const auto& entry) { return entry.first >= after; });
        length = after;
        compare(hasher.hash());
      }
    }
  }
  for (auto node = candidates.rbegin(); node != candidates.rend(); ++node) {
    const std::vector<int32_t> text = (*node)->text();
    chat::CommonPrefix common = chat::common_prefix(tokenizer, text, tokens);
    if (common.read != text.size()) continue;
    try {
      memory(*node);
    } catch (const NotFound&) {
      continue;
    }
    return {*node, std::move(common.rest)};
  }
  Found nothing{nullptr, {tokens.begin(), tokens.end()}};
  if (!root.base.empty()) nothing.node = get(root.owner, root.base);
  return nothing;
}

NodePtr States::get(const Owner& owner, const std::string& id) {
  std::lock_guard lock(mutex_);
  auto found = by_id_.find(id);
  if (found == by_id_.end()) {
    learn_of(owner);
    found = by_id_.find(id);
  }
  if (found == by_id_.end() || found->second->root.owner != owner)
    throw NotFound(fmt::format("there is no state '{}' (any more)", id));
  return found->second;
}

std::shared_ptr<const ttt::Memory> States::memory(const NodePtr& node) {
  {
    std::lock_guard lock(mutex_);
    node->used = ++clock_;
    if (node->memory) return node->memory;
  }
  const std::filesystem::path file = file_of(node->id);
  if (options_.folder.empty() || !std::filesystem::exists(file))
    throw NotFound(fmt::format("the state '{}' is no longer kept", node->id));
  auto loaded = std::make_shared<const ttt::Memory>(ttt::load_memory(file, model_.parts().network));
  records_->touch(node->id, unix_seconds());
  std::lock_guard lock(mutex_);
  if (!node->memory) {
    node->memory = loaded;
    bytes_in_memory_ += node->bytes;
    keep_budget();
  }
  return loaded;
}

States::Found States::beginning_of(NodePtr node, const Root& root, std::span<const int32_t> tokens) const {
  constexpr int kFarthest = 8;
  for (int i = 0; i < kFarthest && node && node->root == root; ++i, node = node->parent) {
    const std::vector<int32_t> text = node->text();
    chat::CommonPrefix common = chat::common_prefix(model_.parts().tokenizer, text, tokens);
    if (common.read == text.size()) return {node, std::move(common.rest)};
  }
  return {nullptr, {tokens.begin(), tokens.end()}};
}

States::Added States::add(const Root& root, const NodePtr& parent, std::span<const int32_t> tokens,
                          std::shared_ptr<const ttt::Memory> memory) {
  const tokenizer::Tokenizer& tokenizer = model_.parts().tokenizer;
  auto node = std::make_shared<Node>();
  node->root = root;
  if (parent && parent->root == root) node->parent = parent;
  node->tokens.assign(tokens.begin(), tokens.end());
  TextHasher hasher(name_of(root));
  for (const int32_t token : node->text()) hasher.add(tokenizer, token);
  node->hash = hasher.hash();
  node->position = memory->position;
  node->steps = memory->steps;
  node->bytes = ttt::memory_bytes(*memory);
  node->id = random_id("st_");
  node->memory = memory;
  std::lock_guard lock(mutex_);
  const auto [begin, end] = by_text_[root].equal_range(node->hash.length);
  for (auto same = begin; same != end; ++same)
    if (same->second->hash == node->hash && same->second->memory && same->second->position == node->position) {
      same->second->used = ++clock_;
      return {same->second, same->second->memory};
    }
  node->used = ++clock_;
  bytes_in_memory_ += node->bytes;
  enter(node);
  keep_budget();
  return {node, std::move(memory)};
}

States::Added States::add_base(const Owner& owner, ttt::Memory memory) {
  const std::string id = random_id("st_");
  auto node = std::make_shared<Node>();
  node->id = id;
  node->root = {owner, id, Learn::all};
  node->hash = TextHasher(name_of(node->root)).hash();
  node->position = memory.position;
  node->steps = memory.steps;
  node->bytes = ttt::memory_bytes(memory);
  auto kept = std::make_shared<const ttt::Memory>(std::move(memory));
  node->memory = kept;
  std::lock_guard lock(mutex_);
  node->used = ++clock_;
  bytes_in_memory_ += node->bytes;
  enter(node);
  keep_budget();
  return {node, std::move(kept)};
}

/// REQUIRES: the lock. The least recently used leave RAM; those that are nowhere else are gone. What somebody works
/// with stays.
void States::keep_budget() {
  while (bytes_in_memory_ > options_.memory_budget) {
    NodePtr oldest;
    for (const auto& [id, node] : by_id_)
      if (node->memory && node->memory.use_count() == 1 && (!oldest || node->used < oldest->used)) oldest = node;
    if (!oldest) return;
    oldest->memory.reset();
    bytes_in_memory_ -= oldest->bytes;
    if (oldest->on_disk || oldest->in_records) continue;
    by_id_.erase(oldest->id);
    auto& texts = by_text_[oldest->root];
    std::erase_if(texts, [&](const auto& entry) { return entry.second == oldest; });
  }
}

void States::trim() {
  std::lock_guard lock(mutex_);
  keep_budget();
}

void States::persist(const NodePtr& node) {
  if (options_.folder.empty()) return;
  std::shared_ptr<const ttt::Memory> memory;
  {
    std::lock_guard lock(mutex_);
    if (node->on_disk) return;
    memory = node->memory;
  }
  require(memory != nullptr, "a state is no longer in memory and cannot be kept; raise --memory-budget");
  ttt::save_memory(file_of(node->id), model_.parts().network, *memory);
  StateRow row;
  row.id = node->id;
  row.owner = node->root.owner;
  row.base = name_of(node->root);
  row.model = model_.fingerprint();
  row.length = node->hash.length;
  row.hash_high = node->hash.high;
  row.hash_low = node->hash.low;
  row.position = node->position;
  row.steps = node->steps;
  row.bytes = node->bytes;
  row.created = row.used = unix_seconds();
  row.has_file = true;
  {
    std::lock_guard lock(mutex_);
    // Its tokens since the nearest state that the store has.
    std::vector<const Node*> chain{node.get()};
    const Node* known = node->parent.get();
    for (; known && !known->in_records; known = known->parent.get()) chain.push_back(known);
    std::vector<int32_t> tokens;
    for (auto part = chain.rbegin(); part != chain.rend(); ++part)
      tokens.insert(tokens.end(), (*part)->tokens.begin(), (*part)->tokens.end());
    row.parent = known ? known->id : "";
    row.tokens = packed(tokens);
  }
  records_->put({row}, {});
  {
    std::lock_guard lock(mutex_);
    node->on_disk = node->in_records = true;
    bytes_on_disk_ += node->bytes;
  }
  keep_disk_budget();
}

/// Files of the least recently used states go; their rows stay, since others' texts go on from theirs. Named memories
/// stay.
void States::keep_disk_budget() {
  const auto over = [&] {
    std::lock_guard lock(mutex_);
    return options_.disk_budget > 0 && bytes_on_disk_ > options_.disk_budget;
  };
  if (options_.max_age_seconds <= 0 && !over()) return;
  for (const StateRow& row : records_->states_by_use()) {
    const bool old =
        options_.max_age_seconds > 0 && static_cast<double>(unix_seconds() - row.used) > options_.max_age_seconds;
    if (!old && !over()) return;
    if (!row.has_file || records_->named(row.id, "memory")) continue;
    records_->set_file(row.id, false);
    std::error_code ignored;
    std::filesystem::remove(file_of(row.id), ignored);
    std::lock_guard lock(mutex_);
    bytes_on_disk_ -= std::min(bytes_on_disk_, row.bytes);
    if (const auto node = by_id_.find(row.id); node != by_id_.end()) node->second->on_disk = false;
  }
}

void States::forget(const NodePtr& node) {
  bool was_on_disk = false;
  {
    std::lock_guard lock(mutex_);
    if (node->memory) bytes_in_memory_ -= node->bytes;
    node->memory.reset();
    was_on_disk = std::exchange(node->on_disk, false);
    if (was_on_disk) bytes_on_disk_ -= std::min(bytes_on_disk_, node->bytes);
  }
  if (!was_on_disk) return;
  records_->set_file(node->id, false);
  std::error_code ignored;
  std::filesystem::remove(file_of(node->id), ignored);
}

void States::count(EngineStats& stats) const {
  std::lock_guard lock(mutex_);
  stats.states = static_cast<int64_t>(by_id_.size());
  for (const auto& [id, node] : by_id_) stats.states_in_memory += node->memory != nullptr;
  stats.state_bytes_in_memory = bytes_in_memory_;
  stats.state_bytes_on_disk = bytes_on_disk_;
}

}  // namespace ingrain::serve
