#include "base/error.h"
#include "serve/store/ancestry.h"
#include "serve/store/postgresql.h"
#include "serve/store/records.h"
#include "serve/store/row_columns.h"
#include "serve/store/row_limits.h"

#include <limits>
#include <set>

namespace ingrain::serve {

#ifdef INGRAIN_LIBPQ
namespace {

constexpr int64_t kPgVersion = 1;
constexpr size_t kMostConnections = 8;

// Texts are bytea: a body may hold any byte.
constexpr const char* kPgSchema[] = {
    "CREATE TABLE IF NOT EXISTS ingrain_version (version BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS ingrain_records (seq BIGSERIAL PRIMARY KEY, owner BYTEA NOT NULL, kind BYTEA NOT NULL,"
    " id BYTEA NOT NULL, parent BYTEA NOT NULL, name BYTEA NOT NULL, state BYTEA NOT NULL, body BYTEA NOT NULL,"
    " created BIGINT NOT NULL, updated BIGINT NOT NULL, UNIQUE (owner, kind, id))",
    "CREATE UNIQUE INDEX IF NOT EXISTS ingrain_records_by_name ON ingrain_records (owner, kind, name)"
    " WHERE name <> ''::bytea",
    "CREATE INDEX IF NOT EXISTS ingrain_records_by_kind ON ingrain_records (owner, kind, seq)",
    "CREATE INDEX IF NOT EXISTS ingrain_records_by_parent ON ingrain_records (owner, kind, parent, seq)",
    "CREATE INDEX IF NOT EXISTS ingrain_records_by_state ON ingrain_records (state, kind)",
    "CREATE TABLE IF NOT EXISTS ingrain_states (seq BIGSERIAL PRIMARY KEY, id BYTEA NOT NULL UNIQUE,"
    " owner BYTEA NOT NULL, parent BYTEA NOT NULL, base BYTEA NOT NULL, model BYTEA NOT NULL, length BIGINT NOT NULL,"
    " hash_high BIGINT NOT NULL, hash_low BIGINT NOT NULL, position BIGINT NOT NULL, steps BIGINT NOT NULL,"
    " bytes BIGINT NOT NULL, created BIGINT NOT NULL, used BIGINT NOT NULL, has_file BIGINT NOT NULL,"
    " tokens BYTEA NOT NULL)",
    "DROP INDEX IF EXISTS ingrain_states_by_text",  // of an older program, which saw no dropped ones
    "CREATE INDEX IF NOT EXISTS ingrain_found_states ON ingrain_states (owner, model, hash_high) WHERE has_file > 0",
    "CREATE INDEX IF NOT EXISTS ingrain_filed_states ON ingrain_states (used, seq) WHERE has_file = 1",
    "CREATE TABLE IF NOT EXISTS ingrain_leases (name BYTEA PRIMARY KEY, holder BYTEA NOT NULL, ends TIMESTAMPTZ NOT "
    "NULL)",
};

Record pg_record(const PgRows& rows, int i) {
  return serve::record_of([&](int column) { return rows.text(i, column); },
                          [&](int column) { return rows.integer(i, column); });
}

StateRow pg_state(const PgRows& rows, int i) {
  return serve::state_of([&](int column) { return rows.text(i, column); },
                         [&](int column) { return rows.integer(i, column); });
}

PgValue pg_number(uint64_t number) { return {static_cast<int64_t>(number)}; }

class PostgresqlRecords : public Records {
 public:
  explicit PostgresqlRecords(const std::string& url) : pool_(url, kMostConnections) {
    pool_.with([&](PgConnection& db) {
      db.run("SELECT pg_advisory_xact_lock(1768842849)");  // two servers that begin at once
      for (const char* sql : kPgSchema) db.run(sql);
      const PgRows rows = db.run("SELECT version FROM ingrain_version");
      if (rows.count() == 0) db.run("INSERT INTO ingrain_version VALUES ($1::bigint)", {kPgVersion});
      require(rows.count() == 0 || rows.integer(0, 0) <= kPgVersion,
              "{}: a store of version {}, and this program knows version {}; use a newer ingrain", pool_.name(),
              rows.count() ? rows.integer(0, 0) : 0, kPgVersion);
      db.run("DELETE FROM ingrain_leases WHERE ends < clock_timestamp() - interval '1 day'");
      return true;
    });
  }

  using Records::put;
  void put(const std::vector<StateRow>& states, const std::vector<Record>& records, const Lease& held) override {
    std::set<std::string> owners;
    for (const StateRow& state : states) {
      check_row(state);
      owners.insert(state.owner);
    }
    for (const Record& record : records) {
      check_row(record);
      owners.insert(record.owner);
    }
    pool_.with([&](PgConnection& db) {
      // Who wants the lease now waits for this transaction.
      if (!held.name.empty() && db.run("SELECT holder FROM ingrain_leases WHERE name = $1 AND holder = $2"
                                       " AND ends > clock_timestamp() FOR UPDATE",
                                       {held.name, held.holder})
                                        .count() == 0)
        throw LeaseLost(lease_lost_text(held));
      // An owner's rows get their order as they are committed, one after another, so that who asks for those after an
      // order misses none.
      for (const std::string& owner : owners)
        db.run("SELECT pg_advisory_xact_lock(1768842850, hashtext(encode($1::bytea, 'hex')))", {owner});
      for (const StateRow& state : states) put_state(db, state);
      for (const Record& record : records) put_record(db, record);
      return true;
    });
  }

  std::optional<Record> get(const std::string& owner, const std::string& kind, const std::string& id) override {
    return one("SELECT " INGRAIN_RECORD_COLUMNS " FROM ingrain_records WHERE owner = $1 AND kind = $2 AND id = $3",
               {owner, kind, id});
  }

  std::optional<Record> by_name(const std::string& owner, const std::string& kind, const std::string& name) override {
    return one("SELECT " INGRAIN_RECORD_COLUMNS
               " FROM ingrain_records WHERE owner = $1 AND kind = $2 AND name = $3 AND name <> ''::bytea",
               {owner, kind, name});
  }

  std::vector<Record> list(const std::string& owner, const std::string& kind, const List& which) override {
    return pool_.with([&](PgConnection& db) {
      std::vector<Record> out;
      int64_t from = which.descending ? std::numeric_limits<int64_t>::max() : 0;
      if (!which.after.empty()) {
        const PgRows rows = db.run("SELECT seq FROM ingrain_records WHERE owner = $1 AND kind = $2 AND id = $3",
                                   {owner, kind, which.after});
        if (rows.count() == 0) return out;
        from = rows.integer(0, 0);
      }
      const PgRows rows = list_rows(db, owner, kind, which, from);
      for (int i = 0; i < rows.count(); ++i) out.push_back(pg_record(rows, i));
      return out;
    });
  }

  bool remove(const std::string& owner, const std::string& kind, const std::string& id) override {
    return changed("DELETE FROM ingrain_records WHERE owner = $1 AND kind = $2 AND id = $3", {owner, kind, id}) > 0;
  }

  std::optional<StateRow> state(const std::string& id) override {
    return pool_.with([&](PgConnection& db) -> std::optional<StateRow> {
      const PgRows rows = db.run("SELECT " INGRAIN_STATE_COLUMNS ", tokens FROM ingrain_states WHERE id = $1", {id});
      if (rows.count() == 0) return std::nullopt;
      StateRow out = pg_state(rows, 0);
      out.tokens = rows.text(0, 15);
      return out;
    });
  }

  std::vector<StateRow> ancestry(const std::string& id) override {
    std::vector<StateRow> out = pool_.with([&](PgConnection& db) {
      const PgRows rows = db.run(
          "WITH RECURSIVE line(id) AS (VALUES ($1::bytea) UNION SELECT parent FROM ingrain_states JOIN line USING (id))"
          " SELECT " INGRAIN_STATE_COLUMNS ", tokens FROM ingrain_states WHERE id IN (SELECT id FROM line)",
          {id});
      std::vector<StateRow> all;
      for (int i = 0; i < rows.count(); ++i) {
        all.push_back(pg_state(rows, i));
        all.back().tokens = rows.text(i, 15);
      }
      return all;
    });
    return in_line(std::move(out), id);
  }

  std::vector<StateRow> states_of_text(const std::string& owner, const std::string& model,
                                       std::span<const uint64_t> hash_high) override {
    return states("SELECT " INGRAIN_STATE_COLUMNS
                  " FROM ingrain_states WHERE owner = $1 AND model = $2 AND has_file > 0 AND hash_high ="
                  " ANY($3::bigint[]) ORDER BY length DESC, seq DESC LIMIT $4",
                  {owner, model, hash_high, kMostOfText});
  }

  std::vector<StateRow> filed_states(int64_t used, int64_t order, int64_t limit) override {
    return states("SELECT " INGRAIN_STATE_COLUMNS
                  " FROM ingrain_states WHERE has_file = 1 AND (used, seq) > ($1, $2) ORDER BY used, seq LIMIT $3",
                  {used, order, limit});
  }

  void touch(const std::string& id, int64_t used) override {
    changed("UPDATE ingrain_states SET used = $2 WHERE id = $1", {id, used});
  }

  void set_file(const std::string& id, bool has_file) override { set_file(id, has_file ? kHasFile : int64_t{0}); }

  void drop_file(const std::string& id) override { set_file(id, kDropped); }

  bool named(const std::string& state, const std::string& kind) override {
    return pool_.with([&](PgConnection& db) {
      return db.run("SELECT seq FROM ingrain_records WHERE state = $1 AND kind = $2 AND state <> ''::bytea LIMIT 1",
                    {state, kind})
                 .count() > 0;
    });
  }

  void remove_state(const std::string& id) override { changed("DELETE FROM ingrain_states WHERE id = $1", {id}); }

  /// By the database's clock, the one clock that all servers share.
  bool lease(const std::string& name, const std::string& holder, double seconds) override {
    return changed(
               "INSERT INTO ingrain_leases AS l VALUES ($1, $2, clock_timestamp() + $3::float8 * interval '1 second')"
               " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, ends = CASE WHEN l.holder ="
               " excluded.holder THEN greatest(l.ends, excluded.ends) ELSE excluded.ends END"
               " WHERE l.holder = excluded.holder OR l.ends <= clock_timestamp()",
               {name, holder, seconds}) > 0;
  }

  bool renew(const Lease& held, double seconds) override {
    return changed(
               "UPDATE ingrain_leases SET ends = greatest(ends, clock_timestamp() + $3::float8 * interval '1 second')"
               " WHERE name = $1 AND holder = $2 AND ends > clock_timestamp()",
               {held.name, held.holder, seconds}) > 0;
  }

  void release(const std::string& name, const std::string& holder) override {
    changed("DELETE FROM ingrain_leases WHERE name = $1 AND holder = $2", {name, holder});
  }

 private:
  void set_file(const std::string& id, int64_t column) {
    changed("UPDATE ingrain_states SET has_file = $2 WHERE id = $1", {id, column});
  }

  std::optional<Record> one(const char* sql, const std::vector<PgValue>& values) {
    return pool_.with([&](PgConnection& db) -> std::optional<Record> {
      const PgRows rows = db.run(sql, values);
      if (rows.count() == 0) return std::nullopt;
      return pg_record(rows, 0);
    });
  }

  std::vector<StateRow> states(const char* sql, const std::vector<PgValue>& values) {
    return pool_.with([&](PgConnection& db) {
      const PgRows rows = db.run(sql, values);
      std::vector<StateRow> out;
      for (int i = 0; i < rows.count(); ++i) out.push_back(pg_state(rows, i));
      return out;
    });
  }

  int64_t changed(const char* sql, const std::vector<PgValue>& values) {
    return pool_.with([&](PgConnection& db) { return db.run(sql, values).changed(); });
  }

  static void put_state(PgConnection& db, const StateRow& s) {
    db.run(
        "INSERT INTO ingrain_states (id, owner, parent, base, model, length, hash_high, hash_low, position, steps, "
        "bytes,"
        " created, used, has_file, tokens) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
        " ON CONFLICT (id) DO UPDATE SET owner = $2, parent = $3, base = $4, model = $5, length = $6, hash_high = $7,"
        " hash_low = $8, position = $9, steps = $10, bytes = $11, created = $12, used = $13, has_file = $14,"
        " tokens = $15",
        {s.id, s.owner, s.parent, s.base, s.model, pg_number(s.length), pg_number(s.hash_high), pg_number(s.hash_low),
         s.position, s.steps, pg_number(s.bytes), s.created, s.used, file_column(s), s.tokens});
  }

  static void put_record(PgConnection& db, const Record& r) {
    try {
      db.run(
          "INSERT INTO ingrain_records (owner, kind, id, parent, name, state, body, created, updated)"
          " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (owner, kind, id) DO UPDATE SET"
          " parent = $4, name = $5, state = $6, body = $7, created = $8, updated = $9",
          {r.owner, r.kind, r.id, r.parent, r.name, r.state, r.body, r.created, r.updated});
    } catch (const UniqueError&) {  // the key gives way, so it is the name
      throw NameTaken(name_taken_text(r));
    }
  }

  static PgRows list_rows(PgConnection& db, const std::string& owner, const std::string& kind, const List& which,
                          int64_t from) {
    std::vector<PgValue> values{owner, kind, from, list_limit(which.limit)};
    if (!which.parent.empty()) values.emplace_back(which.parent);
    const std::string sql = fmt::format("SELECT " INGRAIN_RECORD_COLUMNS
                                        " FROM ingrain_records WHERE owner = $1 AND kind = $2{} AND seq {} $3"
                                        " ORDER BY seq{} LIMIT $4",
                                        which.parent.empty() ? "" : " AND parent = $5", which.descending ? "<" : ">",
                                        which.descending ? " DESC" : "");
    return db.run(sql.c_str(), values);
  }

  PgPool pool_;
};

}  // namespace

std::shared_ptr<Records> open_postgresql(const std::string& url) { return std::make_shared<PostgresqlRecords>(url); }

#else

std::shared_ptr<Records> open_postgresql(const std::string&) {
  fail(
      "--store: this build has no libpq and keeps its store in SQLite; name a file, or build with libpq-dev installed");
}

#endif

}  // namespace ingrain::serve
