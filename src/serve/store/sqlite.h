// SQLite as this program uses it: a file of a known kind, statements that are prepared once, errors in words.
#pragma once

#include "base/error.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace ingrain::serve {

/// What a row would break: a key that is there already.
class ConstraintError : public Error {
 public:
  using Error::Error;
};

/// A statement that runs. One at a time of each text; rows are read before the next step().
class Query {
 public:
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  ~Query();

  /// Whether there is another row.
  bool step();
  /// To the end, without rows.
  void run() {
    while (step()) {}
  }
  int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;  // bytes as they were put

 private:
  friend class Database;
  template <class... Values>
  Query(sqlite3* database, sqlite3_stmt* statement, const std::string& name, const Values&... values)
      : database_(database), statement_(statement), name_(name) {
    int at = 0;
    (bind(++at, values), ...);
  }
  void bind(int at, int64_t value);
  void bind(int at, double value);
  void bind(int at, std::string_view value);  // REQUIRES: it stays where it is until the query ends

  sqlite3* database_;
  sqlite3_stmt* statement_;
  const std::string& name_;
};

/// What a file is for. Its tables are exactly those of `schema`: a file with others, triggers or views among them, is
/// refused, so what somebody sends can do nothing but hold wrong rows.
struct DatabaseKind {
  const char* what;  // "a server's store"
  int32_t application_id;
  int32_t version;
  const char* schema;
  const char* upgrade = nullptr;  // makes it of a file of any version before; nullptr: there was none
};

enum class Open {
  shared,     // write-ahead log: others may read and write; a commit is on the disk
  alone,      // nobody else has it yet, and nothing is synced
  read_only,  // must be there
};

/// One connection. One thread at a time.
class Database {
 public:
  /// Made if it is not there (not read_only), with permissions for its owner only (shared). ":memory:" is nowhere.
  Database(const std::filesystem::path& file, const DatabaseKind& kind, Open how);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  /// `sql`, a literal, with its ?1, ?2, ... as given: integers, double, or text.
  template <class... Values>
  Query query(const char* sql, const Values&... values) {
    return Query(database_, prepared(sql), name_, values...);
  }
  void execute(const char* sql);
  int64_t changes() const;   // rows of the last statement
  int64_t last_row() const;  // the number of the row that was inserted last

  /// The file that it would be.
  std::string bytes() const;
  /// All that another of the same kind has, in place of what it had.
  void become(const Database& other);

 private:
  sqlite3_stmt* prepared(const char* sql);
  void close();
  void check_kind(const DatabaseKind& kind, Open how);

  std::string name_;  // for errors
  sqlite3* database_ = nullptr;
  std::map<const char*, sqlite3_stmt*> statements_;
};

/// All that is written between construction and commit(), or nothing.
class Transaction {
 public:
  explicit Transaction(Database& database) : database_(&database) { database.execute("BEGIN IMMEDIATE"); }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();
  void commit();

 private:
  Database* database_;
};

}  // namespace ingrain::serve
