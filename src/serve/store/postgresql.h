// PostgreSQL as this program uses it: statements with parameters, connections that come back.
#pragma once

#ifdef INGRAIN_LIBPQ

#include "base/error.h"

#include <libpq-fe.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace ingrain::serve {

/// The connection was lost: what ran may have been done or not, and may be done again by another one.
class ConnectionLost : public Error {
 public:
  using Error::Error;
};
/// The server is there and lets this user not in, or not into this database: until somebody changes that.
class ConnectionRefused : public ConnectionLost {
 public:
  using ConnectionLost::ConnectionLost;
};
/// A row that would break a unique index.
class UniqueError : public Error {
 public:
  using Error::Error;
};

/// A parameter: numbers in digits, or bytes as they are.
struct PgValue {
  PgValue(int64_t number) : bytes(std::to_string(number)), binary(false) {}
  PgValue(double number) : bytes(fmt::format("{}", number)), binary(false) {}
  PgValue(const std::string& text) : bytes(text), binary(true) {}
  PgValue(const char* text) : bytes(text), binary(true) {}
  /// An array of bigint: their bits, with the sign that they have there.
  PgValue(std::span<const uint64_t> numbers);
  std::string bytes;
  bool binary;
};

/// Rows of bytea and bigint columns.
class PgRows {
 public:
  explicit PgRows(PGresult* result) : result_(result, &::PQclear) {}
  int count() const { return ::PQntuples(result_.get()); }
  std::string text(int row, int column) const;
  int64_t integer(int row, int column) const;
  int64_t changed() const;  // rows that the statement wrote
  ExecStatusType status() const { return ::PQresultStatus(result_.get()); }
  std::string sqlstate() const;

 private:
  std::unique_ptr<PGresult, decltype(&::PQclear)> result_;
};

/// One connection. One thread at a time.
class PgConnection {
 public:
  /// Error for an address that no server can have; ConnectionLost where there is none now.
  PgConnection(const std::string& url, const std::string& name);
  PgRows run(const char* sql, const std::vector<PgValue>& values = {});
  bool lost() const { return ::PQstatus(connection_.get()) != CONNECTION_OK; }

 private:
  std::unique_ptr<PGconn, decltype(&::PQfinish)> connection_;
  std::string name_;
};

/// Connections that threads borrow: at most `most`; others wait.
class PgPool {
 public:
  PgPool(std::string url, size_t most);

  /// Calls action(connection) in a transaction, again on another connection if this one is lost, for some seconds in
  /// all: so it must be right to do it twice. Who was never let in does not try again.
  template <class Action>
  auto with(const Action& action) {
    for (int tries = 0;; ++tries) {
      try {
        const Borrowed borrowed(*this);
        PgConnection& connection = *borrowed.connection;
        connection.run("BEGIN");
        try {
          auto out = action(connection);
          connection.run("COMMIT");
          return out;
        } catch (...) {
          if (!connection.lost()) connection.run("ROLLBACK");
          throw;
        }
      } catch (const ConnectionRefused&) {
        if (tries >= kTries || !was_let_in_) throw;
        wait(tries);
      } catch (const ConnectionLost&) {
        if (tries >= kTries) throw;
        wait(tries);
      }
    }
  }
  const std::string& name() const { return name_; }

 private:
  static constexpr int kTries = 6;
  struct Borrowed {
    explicit Borrowed(PgPool& from) : pool(from), connection(from.take()) {}
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;
    ~Borrowed() { pool.give(std::move(connection)); }
    PgPool& pool;
    std::unique_ptr<PgConnection> connection;
  };
  std::unique_ptr<PgConnection> take();
  void give(std::unique_ptr<PgConnection> connection);
  static void wait(int tries);

  std::string url_, name_;
  size_t most_, taken_ = 0;
  std::atomic<bool> was_let_in_ = false;
  std::mutex mutex_;
  std::condition_variable free_;
  std::vector<std::unique_ptr<PgConnection>> idle_;
};

}  // namespace ingrain::serve

#endif
