#include "serve/store/postgresql.h"

#ifdef INGRAIN_LIBPQ

#include "base/text.h"
#include "base/whole_number.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

namespace ingrain::serve {
namespace {

std::string words_of(const char* message) {
  std::string out = message ? message : "";
  while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) out.pop_back();
  for (char& c : out)
    if (c == '\n' || c == '\t') c = ' ';
  return printable(out, 400);
}

/// libpq reads them only as it connects. One for each host, with commas; an empty one is the usual one.
void check_ports(std::string_view ports) {
  while (true) {
    const size_t end = std::min(ports.find(','), ports.size());
    const std::string_view port = ports.substr(0, end);
    const std::string fault = port.empty() ? "" : whole_number_fault(port, WholeRange::of<int64_t>(1, 65535));
    require(fault.empty(), "--store: the port {}", printable(fault));
    if (end == ports.size()) return;
    ports.remove_prefix(end + 1);
  }
}

/// The address without user and password, for errors.
std::string name_of(const std::string& url) {
  require(url.starts_with("postgresql://") || url.starts_with("postgres://"),
          "--store: not the address of a database; it is postgresql://user@host/database");
  char* message = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&::PQconninfoFree)> options(::PQconninfoParse(url.c_str(), &message),
                                                                               &::PQconninfoFree);
  const std::unique_ptr<char, decltype(&::PQfreemem)> held(message, &::PQfreemem);
  // libpq's words may quote the password.
  require(options != nullptr, "--store: not a valid address; it is postgresql://user@host/database");
  std::string host, database;
  for (const PQconninfoOption* option = options.get(); option->keyword; ++option) {
    if (!option->val) continue;
    if (std::string_view(option->keyword) == "host") host = option->val;
    if (std::string_view(option->keyword) == "dbname") database = option->val;
    if (std::string_view(option->keyword) == "port") check_ports(option->val);
  }
  return fmt::format("postgresql://{}/{}", printable(host), printable(database));
}

}  // namespace

PgValue::PgValue(std::span<const uint64_t> numbers) : bytes("{"), binary(false) {
  for (const uint64_t number : numbers) {
    if (bytes.size() > 1) bytes += ',';
    bytes += std::to_string(static_cast<int64_t>(number));
  }
  bytes += '}';
}

std::string PgRows::text(int row, int column) const {
  return {::PQgetvalue(result_.get(), row, column), static_cast<size_t>(::PQgetlength(result_.get(), row, column))};
}

int64_t PgRows::integer(int row, int column) const {
  uint64_t out = 0;  // big endian
  for (const char c : text(row, column)) out = out << 8 | static_cast<uint8_t>(c);
  return static_cast<int64_t>(out);
}

int64_t PgRows::changed() const { return std::atoll(::PQcmdTuples(result_.get())); }

std::string PgRows::sqlstate() const {
  const char* code = ::PQresultErrorField(result_.get(), PG_DIAG_SQLSTATE);
  return code ? code : "";
}

PgConnection::PgConnection(const std::string& url, const std::string& name)
    : connection_(nullptr, &::PQfinish), name_(name) {
  const char* const keys[] = {"dbname", "connect_timeout", "application_name", "client_encoding", nullptr};
  const char* const values[] = {url.c_str(), "5", "ingrain", "UTF8", nullptr};
  connection_.reset(::PQconnectdbParams(keys, values, /*expand_dbname=*/1));
  if (lost()) {
    const std::string words = words_of(::PQerrorMessage(connection_.get()));
    switch (::PQpingParams(keys, values, /*expand_dbname=*/1)) {
      case PQPING_NO_ATTEMPT: fail("--store: {}: {}; correct the address", name_, words);
      case PQPING_OK: throw ConnectionRefused(fmt::format("{}: {} (may this user connect?)", name_, words));
      default: throw ConnectionLost(fmt::format("{}: {} (is the server running?)", name_, words));
    }
  }
  ::PQsetNoticeProcessor(connection_.get(), [](void*, const char*) {}, nullptr);
  run("SET statement_timeout = '60s'");
  run("SET idle_in_transaction_session_timeout = '60s'");
}

PgRows PgConnection::run(const char* sql, const std::vector<PgValue>& values) {
  std::vector<const char*> bytes;
  std::vector<int> lengths, formats;
  for (const PgValue& value : values) {
    bytes.push_back(value.bytes.c_str());
    lengths.push_back(static_cast<int>(value.bytes.size()));
    formats.push_back(value.binary);
  }
  PgRows out(::PQexecParams(connection_.get(), sql, static_cast<int>(values.size()), nullptr, bytes.data(),
                            lengths.data(), formats.data(), /*resultFormat=*/1));
  const ExecStatusType status = out.status();
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK) return out;
  const std::string words = words_of(::PQerrorMessage(connection_.get()));
  const std::string code = out.sqlstate();
  // 57P0x: the server ends or begins; 40...: two transactions were in each other's way.
  if (lost() || code.starts_with("57P0") || code.starts_with("40"))
    throw ConnectionLost(fmt::format("{}: {} (the database is not there; start it)", name_, words));
  if (code == "23505") throw UniqueError(fmt::format("{}: {}", name_, words));
  fail("{}: {} (SQLSTATE {})", name_, words, code);
}

PgPool::PgPool(std::string url, size_t most) : url_(std::move(url)), name_(name_of(url_)), most_(most) {}

std::unique_ptr<PgConnection> PgPool::take() {
  {
    std::unique_lock lock(mutex_);
    free_.wait(lock, [&] { return taken_ < most_; });
    ++taken_;
    if (!idle_.empty()) {
      std::unique_ptr<PgConnection> out = std::move(idle_.back());
      idle_.pop_back();
      return out;
    }
  }
  try {
    auto out = std::make_unique<PgConnection>(url_, name_);
    was_let_in_ = true;
    return out;
  } catch (...) {
    give(nullptr);
    throw;
  }
}

void PgPool::give(std::unique_ptr<PgConnection> connection) {
  const std::scoped_lock lock(mutex_);
  --taken_;
  if (connection && !connection->lost())
    idle_.push_back(std::move(connection));
  else
    idle_.clear();  // the others were lost, too, as a rule
  free_.notify_one();
}

void PgPool::wait(int tries) { std::this_thread::sleep_for(std::chrono::milliseconds(50 << tries)); }

}  // namespace ingrain::serve

#endif
