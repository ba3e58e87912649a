#include "serve/store/ancestry.h"
#include "serve/store/records.h"
#include "base/clock.h"
#include "serve/store/row_columns.h"
#include "serve/store/row_limits.h"
#include "serve/store/sqlite.h"

#include <chrono>
#include <iterator>
#include <limits>
#include <mutex>

namespace ingrain::serve {
namespace {

#define INGRAIN_STATE_INDICES                                                           \
  "CREATE INDEX states_by_text ON states (owner, model, hash_high) WHERE has_file > 0;" \
  "CREATE INDEX states_by_use ON states (used, seq) WHERE has_file = 1;"

// Long columns come last: what stands before them is read without them.
constexpr DatabaseKind kStoreFile{"a server's store", 0x696e7331, 3, R"sql(
CREATE TABLE records (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  owner TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
  parent TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL,
  created INTEGER NOT NULL, updated INTEGER NOT NULL, body TEXT NOT NULL,
  UNIQUE (owner, kind, id));
CREATE UNIQUE INDEX records_by_name ON records (owner, kind, name) WHERE name <> '';
CREATE INDEX records_by_kind ON records (owner, kind, seq);
CREATE INDEX records_by_parent ON records (owner, kind, parent, seq);
CREATE INDEX records_by_state ON records (state, kind);
CREATE TABLE states (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE, owner TEXT NOT NULL, parent TEXT NOT NULL, base TEXT NOT NULL, model TEXT NOT NULL,
  length INTEGER NOT NULL, hash_high INTEGER NOT NULL, hash_low INTEGER NOT NULL,
  position INTEGER NOT NULL, steps INTEGER NOT NULL, bytes INTEGER NOT NULL,
  created INTEGER NOT NULL, used INTEGER NOT NULL, has_file INTEGER NOT NULL, tokens BLOB NOT NULL);
CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, ends REAL NOT NULL);
CREATE INDEX leases_by_end ON leases (ends);
)sql" INGRAIN_STATE_INDICES,
                                  "DROP INDEX IF EXISTS states_by_owner; DROP INDEX IF EXISTS states_by_text;"
                                  "DROP INDEX IF EXISTS states_by_use;" INGRAIN_STATE_INDICES};

Record record_of(const Query& row) {
  return serve::record_of([&](int i) { return row.text(i); }, [&](int i) { return row.integer(i); });
}

StateRow state_of(const Query& row) {
  return serve::state_of([&](int i) { return row.text(i); }, [&](int i) { return row.integer(i); });
}

int64_t stored(uint64_t number) { return static_cast<int64_t>(number); }

/// One connection, which the mutex gives to one thread at a time; another process waits for the file's own locks.
class SqliteRecords : public Records {
 public:
  explicit SqliteRecords(const std::filesystem::path& file) : db_(file, kStoreFile, Open::shared) {}

  using Records::put;
  void put(const std::vector<StateRow>& states, const std::vector<Record>& records, const Lease& held) override {
    for (const StateRow& state : states) check_row(state);
    for (const Record& record : records) check_row(record);
    const std::scoped_lock lock(mutex_);
    Transaction transaction(db_);
    if (!held.name.empty() && !db_.query("SELECT 1 FROM leases WHERE name = ?1 AND holder = ?2 AND ends > ?3",
                                         held.name, held.holder, unix_time())
                                   .step())
      throw LeaseLost(lease_lost_text(held));
    for (const StateRow& state : states) put_state(state);
    for (const Record& record : records) put_record(record);
    transaction.commit();
  }

  std::optional<Record> get(const std::string& owner, const std::string& kind, const std::string& id) override {
    const std::scoped_lock lock(mutex_);
    Query row = db_.query("SELECT " INGRAIN_RECORD_COLUMNS " FROM records WHERE owner = ?1 AND kind = ?2 AND id = ?3",
                          owner, kind, id);
    if (!row.step()) return std::nullopt;
    return record_of(row);
  }

  std::optional<Record> by_name(const std::string& owner, const std::string& kind, const std::string& name) override {
    const std::scoped_lock lock(mutex_);
    Query row = db_.query("SELECT " INGRAIN_RECORD_COLUMNS
                          " FROM records WHERE owner = ?1 AND kind = ?2 AND name = ?3 AND name <> ''",
                          owner, kind, name);
    if (!row.step()) return std::nullopt;
    return record_of(row);
  }

  std::vector<Record> list(const std::string& owner, const std::string& kind, const List& which) override {
    const std::scoped_lock lock(mutex_);
    int64_t from = which.descending ? std::numeric_limits<int64_t>::max() : 0;
    if (!which.after.empty()) {
      Query row =
          db_.query("SELECT seq FROM records WHERE owner = ?1 AND kind = ?2 AND id = ?3", owner, kind, which.after);
      if (!row.step()) return {};
      from = row.integer(0);
    }
    Query rows = list_query(owner, kind, which, from);
    std::vector<Record> out;
    while (rows.step()) out.push_back(record_of(rows));
    return out;
  }

  bool remove(const std::string& owner, const std::string& kind, const std::string& id) override {
    const std::scoped_lock lock(mutex_);
    db_.query("DELETE FROM records WHERE owner = ?1 AND kind = ?2 AND id = ?3", owner, kind, id).run();
    return db_.changes() > 0;
  }

  std::optional<StateRow> state(const std::string& id) override {
    const std::scoped_lock lock(mutex_);
    Query row = db_.query("SELECT " INGRAIN_STATE_COLUMNS ", tokens FROM states WHERE id = ?1", id);
    if (!row.step()) return std::nullopt;
    StateRow out = state_of(row);
    out.tokens = row.text(15);
    return out;
  }

  std::vector<StateRow> ancestry(const std::string& id) override {
    std::vector<StateRow> rows;
    {
      const std::scoped_lock lock(mutex_);
      Query query = db_.query(
          "WITH RECURSIVE line(id) AS (VALUES (?1) UNION SELECT parent FROM states JOIN line USING (id))"
          " SELECT " INGRAIN_STATE_COLUMNS ", tokens FROM states WHERE id IN (SELECT id FROM line)",
          id);
      while (query.step()) {
        rows.push_back(state_of(query));
        rows.back().tokens = query.text(15);
      }
    }
    return in_line(std::move(rows), id);
  }

  std::vector<StateRow> states_of_text(const std::string& owner, const std::string& model,
                                       std::span<const uint64_t> hash_high) override {
    std::string numbers;
    for (const uint64_t high : hash_high) fmt::format_to(std::back_inserter(numbers), ",{}", stored(high));
    if (numbers.empty()) return {};
    numbers[0] = '[';
    numbers += ']';
    const std::scoped_lock lock(mutex_);
    Query rows = db_.query("SELECT " INGRAIN_STATE_COLUMNS
                           " FROM states WHERE owner = ?1 AND model = ?2 AND has_file > 0 AND hash_high IN"
                           " (SELECT value FROM json_each(?3)) ORDER BY length DESC, seq DESC LIMIT ?4",
                           owner, model, numbers, kMostOfText);
    return all_of(rows);
  }

  std::vector<StateRow> filed_states(int64_t used, int64_t order, int64_t limit) override {
    const std::scoped_lock lock(mutex_);
    Query rows = db_.query("SELECT " INGRAIN_STATE_COLUMNS
                           " FROM states WHERE has_file = 1 AND (used, seq) > (?1, ?2) ORDER BY used, seq LIMIT ?3",
                           used, order, limit);
    return all_of(rows);
  }

  void touch(const std::string& id, int64_t used) override {
    const std::scoped_lock lock(mutex_);
    const NotSynced quick(db_);
    db_.query("UPDATE states SET used = ?2 WHERE id = ?1", id, used).run();
  }

  void set_file(const std::string& id, bool has_file) override { set_file(id, has_file ? kHasFile : int64_t{0}); }

  void drop_file(const std::string& id) override { set_file(id, kDropped); }

  bool named(const std::string& state, const std::string& kind) override {
    const std::scoped_lock lock(mutex_);
    return db_.query("SELECT 1 FROM records WHERE state = ?1 AND kind = ?2 AND state <> '' LIMIT 1", state, kind)
        .step();
  }

  void remove_state(const std::string& id) override {
    const std::scoped_lock lock(mutex_);
    db_.query("DELETE FROM states WHERE id = ?1", id).run();
  }

  bool lease(const std::string& name, const std::string& holder, double seconds) override {
    const std::scoped_lock lock(mutex_);
    const NotSynced quick(db_);  // after power loss nobody holds anything
    Transaction transaction(db_);
    const double now = unix_time();
    db_.query("DELETE FROM leases WHERE ends <= ?1", now).run();
    db_.query(
           "INSERT INTO leases VALUES (?1, ?2, ?3) ON CONFLICT (name)"
           " DO UPDATE SET ends = max(ends, excluded.ends) WHERE holder = excluded.holder",
           name, holder, now + seconds)
        .run();
    const bool taken = db_.changes() > 0;
    transaction.commit();
    return taken;
  }

  bool renew(const Lease& held, double seconds) override {
    const std::scoped_lock lock(mutex_);
    const NotSynced quick(db_);
    const double now = unix_time();
    db_.query("UPDATE leases SET ends = max(ends, ?3) WHERE name = ?1 AND holder = ?2 AND ends > ?4", held.name,
              held.holder, now + seconds, now)
        .run();
    return db_.changes() > 0;
  }

  void release(const std::string& name, const std::string& holder) override {
    const std::scoped_lock lock(mutex_);
    const NotSynced quick(db_);
    db_.query("DELETE FROM leases WHERE name = ?1 AND holder = ?2", name, holder).run();
  }

 private:
  /// Commits reach the log, but do not wait for the disk: kill -9 spares them, power loss may not.
  struct NotSynced {
    explicit NotSynced(Database& database) : db(database) { db.execute("PRAGMA synchronous = NORMAL"); }
    NotSynced(const NotSynced&) = delete;
    NotSynced& operator=(const NotSynced&) = delete;
    ~NotSynced() { db.execute("PRAGMA synchronous = FULL"); }
    Database& db;
  };

  static std::vector<StateRow> all_of(Query& rows) {
    std::vector<StateRow> out;
    while (rows.step()) out.push_back(state_of(rows));
    return out;
  }

  void set_file(const std::string& id, int64_t column) {
    const std::scoped_lock lock(mutex_);
    db_.query("UPDATE states SET has_file = ?2 WHERE id = ?1", id, column).run();
  }

  void put_state(const StateRow& s) {
    db_.query(
           "INSERT INTO states (id, owner, parent, base, model, length, hash_high, hash_low, position, steps, bytes,"
           " created, used, has_file, tokens) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
           " ON CONFLICT (id) DO UPDATE SET owner = ?2, parent = ?3, base = ?4, model = ?5, length = ?6, hash_high = "
           "?7,"
           " hash_low = ?8, position = ?9, steps = ?10, bytes = ?11, created = ?12, used = ?13, has_file = ?14,"
           " tokens = ?15",
           s.id, s.owner, s.parent, s.base, s.model, stored(s.length), stored(s.hash_high), stored(s.hash_low),
           s.position, s.steps, stored(s.bytes), s.created, s.used, file_column(s), s.tokens)
        .run();
  }

  void put_record(const Record& r) {
    try {
      db_.query(
             "INSERT INTO records (owner, kind, id, parent, name, state, body, created, updated)"
             " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (owner, kind, id) DO UPDATE SET"
             " parent = ?4, name = ?5, state = ?6, body = ?7, created = ?8, updated = ?9",
             r.owner, r.kind, r.id, r.parent, r.name, r.state, r.body, r.created, r.updated)
          .run();
    } catch (const ConstraintError&) {  // the key gives way, so it is the name
      throw NameTaken(name_taken_text(r));
    }
  }

  Query list_query(const std::string& owner, const std::string& kind, const List& which, int64_t from) {
    const int64_t limit = list_limit(which.limit);
    if (which.parent.empty() && which.descending) {
      return db_.query("SELECT " INGRAIN_RECORD_COLUMNS
                       " FROM records WHERE owner = ?1 AND kind = ?2 AND seq < ?3 ORDER BY seq DESC LIMIT ?4",
                       owner, kind, from, limit);
    }
    if (which.parent.empty()) {
      return db_.query("SELECT " INGRAIN_RECORD_COLUMNS
                       " FROM records WHERE owner = ?1 AND kind = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4",
                       owner, kind, from, limit);
    }
    if (which.descending) {
      return db_.query("SELECT " INGRAIN_RECORD_COLUMNS
                       " FROM records WHERE owner = ?1 AND kind = ?2 AND parent = ?5 AND seq < ?3"
                       " ORDER BY seq DESC LIMIT ?4",
                       owner, kind, from, limit, which.parent);
    }
    return db_.query("SELECT " INGRAIN_RECORD_COLUMNS
                     " FROM records WHERE owner = ?1 AND kind = ?2 AND parent = ?5 AND seq > ?3 ORDER BY seq LIMIT ?4",
                     owner, kind, from, limit, which.parent);
  }

  std::mutex mutex_;
  Database db_;
};

}  // namespace

std::shared_ptr<Records> open_sqlite(const std::filesystem::path& file) {
  return std::make_shared<SqliteRecords>(file);
}

}  // namespace ingrain::serve
