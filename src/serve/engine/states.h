// What memories have become, to go on from: every branch of every conversation, in RAM while it is used and on disk.
#pragma once

#include "serve/engine/node.h"
#include "serve/engine/shared_weights.h"
#include "serve/engine/state_files.h"

#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace ingrain::serve {

/// Thread-safe. A node that somebody holds stays usable until he lets go, unless its tensors have to be loaded and the
/// file is gone. In RAM are the states with tensors there, as the budget allows, and those that somebody holds; all
/// others are rows of the store, found by their text's hash. Nothing waits for the store or a disk while it has the
/// lock, so that add(), which is the computing thread's, never does.
class States {
 public:
  States(const Model& model, std::shared_ptr<Records> records, const EngineOptions& options);

  /// The known state that has read the longest beginning of `tokens` (after root.base), and what is left to read; of
  /// none: nullptr and all tokens. Compared by bytes, in the end all of them. Of a state whose tensors are gone, those
  /// of one that it goes on from (nullptr: of none), and what makes the same of them: it may have read more than its
  /// text says, thoughts and notes, and in other tokens.
  struct Found {
    NodePtr node;
    std::shared_ptr<const ttt::Memory> memory;  // the node's, unless there is something to read again
    std::vector<int32_t> rest;
    std::vector<ReadPart> again = {};
    TextHash text = {};  // find()'s: the hash of all tokens
  };
  Found find(const Root& root, std::span<const int32_t> tokens);

  /// This owner's state of that name. NotFound otherwise.
  NodePtr get(const Owner& owner, const std::string& id);

  /// The same; nullptr if it is not there, or of another root.
  NodePtr of_root(const Root& root, const std::string& id);

  /// Its tensors, loaded if they must be: shared, never to be written to. NotFound if they are gone.
  std::shared_ptr<const ttt::Memory> memory(const NodePtr& node);
  /// The same in a thread of its own, while something else is done; nothing where they are in RAM, or node is null.
  /// What is thrown there is thrown again by memory().
  std::future<std::shared_ptr<const ttt::Memory>> load_ahead(const NodePtr& node);

  /// A new state in RAM: `tokens` were read after `parent` (nullptr: after the root's base). Where an equal text is
  /// known there, that one stays and is returned. `memory`: shrunk(). `read`: what was read in place of the tokens, if
  /// that is other; or how.
  struct Added {
    NodePtr node;
    std::shared_ptr<const ttt::Memory> memory;  // as long as somebody holds it, it stays in RAM
  };
  Added add(const Root& root, const NodePtr& parent, std::span<const int32_t> tokens,
            std::shared_ptr<const ttt::Memory> memory, std::vector<ReadPart> read = {});
  /// Tensors of a state that may have left RAM, or were read again. They, or those that are there: as long as somebody
  /// holds them, they stay.
  std::shared_ptr<const ttt::Memory> restore(const NodePtr& node, std::shared_ptr<const ttt::Memory> memory);
  /// The hash of tokens after a root's base.
  TextHash hash(const Root& root, std::span<const int32_t> tokens) const;
  /// The state in RAM that has read just these tokens after `parent` (nullptr: after nothing), whose text's hash is
  /// `hash`. Looks nowhere else, so that it is the computing thread's to ask.
  std::optional<Added> known(const Root& root, const NodePtr& parent, std::span<const int32_t> tokens,
                             const TextHash& hash);
  /// The nearest of `node` and those that it goes on from whose text `tokens` begin with, and what is left of them.
  Found beginning_of(NodePtr node, const Root& root, std::span<const int32_t> tokens) const;
  /// One that begins anew: nothing but a base.
  Added add_base(const Owner& owner, ttt::Memory memory);

  /// It outlives the server: file, then row. Nothing if there is no folder.
  void persist(const NodePtr& node);
  void forget(const NodePtr& node);
  /// RAM's budget once more, after somebody let go of tensors; and the store knows what was loaded since.
  void trim();
  /// What is in work takes so many bytes of the budget; states have the rest.
  void set_working_bytes(uint64_t bytes);
  /// As much is used by others.
  void set_outside_bytes(uint64_t bytes);

  void count(EngineStats& stats) const;

 private:
  using Evicted = std::vector<std::shared_ptr<const ttt::Memory>>;
  NodePtr stored(const std::string& id);
  std::vector<NodePtr> in_ram(const Root& root, std::span<const TextHash> falling) const;
  Found going_on(const NodePtr& node, std::span<const int32_t> tokens);
  std::optional<Found> from_earlier(const NodePtr& node);
  Added enter(std::shared_ptr<Node> node, std::shared_ptr<const ttt::Memory> memory);
  NodePtr alive(const std::string& id) const;
  void note(const NodePtr& node);
  void use(const NodePtr& node);
  void settle(const NodePtr& node, std::shared_ptr<const ttt::Memory> memory);
  std::shared_ptr<const ttt::Memory> unsettle(const NodePtr& node);
  Evicted keep_budget();

  const Model model_;
  const std::shared_ptr<Records> records_;
  const uint64_t memory_budget_;
  StateFiles files_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::weak_ptr<const Node>> by_id_;  // a state is one node while anybody holds it
  size_t sweep_at_ = 1024;                                            // so many ids: time to look for dead ones
  std::map<int64_t, NodePtr> by_use_;                                 // those with tensors in RAM
  std::unordered_multimap<uint64_t, NodePtr> by_text_;                // the same by hash.high
  int64_t clock_ = 0;
  std::vector<std::string> loaded_;  // ids, of which the store does not know yet that they were used
  BytesInRam bytes_in_ram_;
  uint64_t working_bytes_ = 0, outside_bytes_ = 0;
};

}  // namespace ingrain::serve
