#include "serve/records_cases.h"
#include "serve/store/sqlite.h"

#include "scratch.h"

#include <gmock/gmock.h>

namespace ingrain::serve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using SqliteFile = ScratchTest;

TEST_F(SqliteFile, is_private_and_of_one_kind) {
  const auto file = dir_ / "store.db";
  open_sqlite(file)->put(record("a"));
  EXPECT_EQ(std::filesystem::status(file).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_TRUE(open_sqlite(file)->get("ann", "response", "a"));
}

TEST_F(SqliteFile, of_another_kind_is_refused_and_left_alone) {
  const std::string no_database = "this is a letter, and it is longer than the head of a database would be.\n";
  put(dir_ / "letter", no_database + std::string(4096, 'x'));
  EXPECT_THAT(error_of([&] { open_sqlite(dir_ / "letter"); }), HasSubstr("letter"));
  EXPECT_THAT(error_of([&] { open_sqlite(dir_); }), HasSubstr(dir_.string()));
  EXPECT_THAT(error_of([&] { open_sqlite(dir_ / "no" / "folder.db"); }), HasSubstr("folder"));
  EXPECT_EQ(std::filesystem::file_size(dir_ / "letter"), no_database.size() + 4096);
}

TEST_F(SqliteFile, of_a_version_before_is_brought_up_to_date) {
  constexpr const char* kTables = R"sql(
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
)sql";
  const std::vector<const char*> indices{
      "CREATE INDEX states_by_owner ON states (owner, model, seq); CREATE INDEX states_by_use ON states (used, seq);",
      "CREATE INDEX states_by_text ON states (owner, model, hash_high) WHERE has_file = 1;"
      "CREATE INDEX states_by_use ON states (used, seq) WHERE has_file = 1;"};
  for (int32_t version = 1; version <= 2; ++version) {
    SCOPED_TRACE(version);
    const auto file = dir_ / ("store" + std::to_string(version));
    {
      const std::string schema = std::string(kTables) + indices[static_cast<size_t>(version) - 1];
      Database before(file, {"a server's store", 0x696e7331, version, schema.c_str()}, Open::shared);
      before.execute(
          "INSERT INTO states (id, owner, parent, base, model, length, hash_high, hash_low, position, steps, bytes,"
          " created, used, has_file, tokens) VALUES ('s', 'ann', '', '', 'm', 3, 7, 8, 9, 0, 1, 1, 1, 1, x'00')");
    }
    for (int again = 0; again < 2; ++again) {
      const auto records = open_sqlite(file);
      const std::vector<uint64_t> wanted{7};
      EXPECT_THAT(ids(records->states_of_text("ann", "m", wanted)), ElementsAre("s"));
      records->put(record("a"));
      EXPECT_TRUE(records->get("ann", "response", "a"));
    }
  }
}

TEST_F(SqliteFile, named_like_a_uri_is_a_file) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(dir_);
  open_sqlite("file:x?mode=memory")->put(record("a"));
  std::filesystem::current_path(before);
  EXPECT_TRUE(std::filesystem::exists(dir_ / "file:x?mode=memory"));
}

TEST_F(SqliteFile, cut_or_changed_anywhere_is_an_error_or_other_rows_but_no_fault) {
  const auto file = dir_ / "store.db";
  {
    const auto records = open_sqlite(file);
    for (int i = 0; i < 60; ++i) {
      Record r = record("r" + std::to_string(i));
      r.body = std::string(500, 'b');
      records->put({state("s" + std::to_string(i))}, {r});
    }
  }
  std::ifstream in(file, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  int errors = 0;
  for (size_t at = 0; at < whole.size(); at += 613) {
    std::string bytes = whole;
    if (at % 2) {
      bytes.resize(at);
    } else {
      for (size_t i = at; i < std::min(at + 40, bytes.size()); ++i) bytes[i] = static_cast<char>(bytes[i] ^ 0xa5);
    }
    const auto copy = put(dir_ / "copy.db", bytes);
    for (const char* beside : {"copy.db-wal", "copy.db-shm"}) std::filesystem::remove(dir_ / beside);
    const std::string error = error_of([&] {
      const auto records = open_sqlite(copy);
      for (const Record& r : records->list("ann", "response", {})) records->get(r.owner, r.kind, r.id);
      records->filed_states(0, 0, 100);
      records->put({state("new")}, {record("new")});
    });
    errors += !error.empty();
    EXPECT_THAT(error + (error.empty() ? "copy.db" : ""), HasSubstr("copy.db"));
  }
  EXPECT_GT(errors, 10);
}

}  // namespace
}  // namespace ingrain::serve
