// What the server knows, in rows: responses, conversations, memories, and the states that they name. Durable where the
// implementation is: a call that returned is there after kill -9.
#pragma once

#include "ingrain/error.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ingrain::serve {

/// An object of an API. `body` is its JSON; the store reads nothing in it.
struct Record {
  std::string owner, kind, id;  // kind: "response", "conversation", "item", "memory", ...; (owner, kind, id) is the key
  std::string parent;           // what it belongs to, or goes on from ("item" -> its conversation)
  std::string name;             // what people call it (a memory's name), unique in (owner, kind) where not empty
  std::string state;            // the state that it names, or ""
  std::string body;
  int64_t created = 0, updated = 0;  // unix seconds
  int64_t order = 0;                 // rises with every insertion; set by the store
};

/// A state of a model's memory: its tensors lie in a file of this id, or in RAM alone.
struct StateRow {
  std::string id, owner, parent;  // parent: the state that its tokens follow on ("": the first)
  std::string base;               // what its text began from, and how it learns, in the engine's words
  std::string model;              // fingerprint
  std::string tokens;             // those after the parent's, in the engine's words
  uint64_t length = 0, hash_high = 0, hash_low = 0;  // of all bytes since the base, as the state index counts them
  int64_t position = 0, steps = 0;
  uint64_t bytes = 0;             // of its tensors
  int64_t created = 0, used = 0;  // unix seconds
  bool has_file = false;
  bool dropped = false;  // it has no file any more, but its text is found: what it has read can be read again
  int64_t order = 0;     // rises with every insertion; set by the store
};

/// Whose a name is for a while. No name: no lease.
struct Lease {
  std::string name, holder;
};

/// The lease that a write depends on is another's by now, or nobody's.
class LeaseLost : public Error {
 public:
  using Error::Error;
};
/// Another record of this owner and kind has this name.
class NameTaken : public Error {
 public:
  using Error::Error;
};

/// Thread-safe. Errors: what the database says, with the remedy. Owners, kinds, ids, parents, names and models have at
/// most 512 bytes, none of them NUL; a body at most 64 MiB, tokens 256 MiB.
class Records {
 public:
  virtual ~Records() = default;

  /// All of it or nothing, and on the disk. `states` come first. A record or state of a key that is there replaces it
  /// (its order stays). Only while the lease `held` is its holder's: a server that slept past its end writes nothing.
  /// Error for what is too long; NameTaken; LeaseLost.
  virtual void put(const std::vector<StateRow>& states, const std::vector<Record>& records, const Lease& held) = 0;
  void put(const std::vector<StateRow>& states, const std::vector<Record>& records) { put(states, records, Lease{}); }
  void put(const Record& record) { put({}, {record}); }

  virtual std::optional<Record> get(const std::string& owner, const std::string& kind, const std::string& id) = 0;
  virtual std::optional<Record> by_name(const std::string& owner, const std::string& kind, const std::string& name) = 0;
  /// In rising order of insertion (`descending`: falling), those after `after` (an id; "": from the beginning) of this
  /// parent ("": of any). Nothing if there is no `after`.
  struct List {
    std::string parent = {}, after = {};
    int64_t limit = 100;
    bool descending = false;
  };
  virtual std::vector<Record> list(const std::string& owner, const std::string& kind, const List& which) = 0;
  /// Whether it was there.
  virtual bool remove(const std::string& owner, const std::string& kind, const std::string& id) = 0;

  virtual std::optional<StateRow> state(const std::string& id) = 0;
  /// A state and all that it follows on, with their tokens, the first one first. Empty if one of them is not there.
  virtual std::vector<StateRow> ancestry(const std::string& id) = 0;
  /// This owner's states of this model that have a file, or were dropped, and one of these hash_high, without their
  /// tokens: the longest first, then the newest, at most kMostOfText.
  virtual std::vector<StateRow> states_of_text(const std::string& owner, const std::string& model,
                                               std::span<const uint64_t> hash_high) = 0;
  static constexpr int64_t kMostOfText = 64;
  /// States that have a file, without their tokens, by rising (used, order): at most `limit` of those after this one
  /// (0, 0: from the first).
  virtual std::vector<StateRow> filed_states(int64_t used, int64_t order, int64_t limit) = 0;
  /// Not synced: power loss may take it.
  virtual void touch(const std::string& id, int64_t used) = 0;
  virtual void set_file(const std::string& id, bool has_file) = 0;
  /// It has no file any more, and is dropped.
  virtual void drop_file(const std::string& id) = 0;
  virtual bool named(const std::string& state, const std::string& kind) = 0;  // whether a record of this kind does
  /// Those that follow on it, and records that name it, stay.
  virtual void remove_state(const std::string& id) = 0;

  /// A lease on a name, so that two servers never go on with one conversation: true if it is `holder`'s now, until
  /// `seconds` from now. Taken again by its holder, it is longer.
  virtual bool lease(const std::string& name, const std::string& holder, double seconds) = 0;
  /// Until `seconds` from now, if it has not ended: who lost it must not have it back unseen, since another may have
  /// had it meanwhile.
  virtual bool renew(const Lease& held, double seconds) = 0;
  virtual void release(const std::string& name, const std::string& holder) = 0;
};

/// In a file; ":memory:" is nowhere. Made if it is not there. Error for a file of a newer or of another kind.
std::shared_ptr<Records> open_sqlite(const std::filesystem::path& file);
/// "postgresql://user@host/database". Error where this build has no libpq.
std::shared_ptr<Records> open_postgresql(const std::string& url);

}  // namespace ingrain::serve
