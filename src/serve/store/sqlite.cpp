#include "serve/store/sqlite.h"

#include "base/open_files.h"
#include "base/text.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace ingrain::serve {
namespace {

namespace fs = std::filesystem;

constexpr int kBusyMilliseconds = 10'000;
constexpr int kLongestValue = 512 << 20;  // of one text, in bytes

const char* remedy(int code) {
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return "another program keeps it to itself; end that, or try again";
    case SQLITE_FULL: return "make room on that disk";
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN: return "the file and its folder must be there and be writable by this user";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return "it is damaged or no such database; take a copy, or name another file";
    case SQLITE_IOERR: return "look at the disk it is on";
    case SQLITE_TOOBIG: return "a value is too long";
    default: return "see the message";
  }
}

[[noreturn]] void fail_sqlite(sqlite3* database, int code, const std::string& name) {
  const std::string words =
      printable(database ? ::sqlite3_errmsg(database) : ::sqlite3_errstr(code), /*max_bytes=*/300);
  if ((code & 0xff) == SQLITE_CONSTRAINT) throw ConstraintError(fmt::format("{}: {}", name, words));
  fail("{}: {} ({})", name, words, remedy(code));
}

/// Made with permissions for its owner alone; SQLite gives those of the file to what it keeps beside it.
void make_private(const fs::path& file) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) fail("{}: cannot open: {} ({})", file.string(), std::strerror(errno), remedy(SQLITE_CANTOPEN));
  ::close(fd);
}

/// Tables and indices as SQLite lists them, in one text. What a full-text index keeps its own rows in is left out:
/// it is worded by the SQLite that made it.
std::string schema_text(Database& database) {
  std::string out;
  Query rows = database.query(
      "SELECT type, name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT IN"
      " (SELECT name FROM pragma_table_list WHERE type = 'shadow') ORDER BY type, name");
  while (rows.step()) out += rows.text(0) + '\0' + rows.text(1) + '\0' + rows.text(2) + '\0';
  return out;
}

int64_t pragma(Database& database, const char* sql) {
  Query row = database.query(sql);
  return row.step() ? row.integer(0) : 0;
}

}  // namespace

Query::~Query() {
  ::sqlite3_reset(statement_);
  ::sqlite3_clear_bindings(statement_);
}

bool Query::step() {
  const int code = ::sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) fail_sqlite(database_, code, name_);
  return false;
}

int64_t Query::integer(int column) const { return ::sqlite3_column_int64(statement_, column); }
double Query::real(int column) const { return ::sqlite3_column_double(statement_, column); }
std::string Query::text(int column) const {
  const void* bytes = ::sqlite3_column_blob(statement_, column);  // before its length: it may be converted
  const auto size = static_cast<size_t>(::sqlite3_column_bytes(statement_, column));
  return bytes ? std::string(static_cast<const char*>(bytes), size) : std::string();
}

void Query::bind(int at, int64_t value) {
  if (const int code = ::sqlite3_bind_int64(statement_, at, value)) fail_sqlite(database_, code, name_);
}
void Query::bind(int at, double value) {
  if (const int code = ::sqlite3_bind_double(statement_, at, value)) fail_sqlite(database_, code, name_);
}
void Query::bind(int at, std::string_view value) {
  const char* bytes = value.data() ? value.data() : "";
  const int code = ::sqlite3_bind_text64(statement_, at, bytes, value.size(), SQLITE_STATIC, SQLITE_UTF8);
  if (code) fail_sqlite(database_, code, name_);
}

Database::Database(const fs::path& file, const DatabaseKind& kind, Open how) : name_(file.string()) {
  const bool nowhere = file == ":memory:";
  // Absolute, since SQLite takes "file:..." for a URI with options.
  const std::string path = nowhere ? file.string() : fs::absolute(file).string();
  // What it keeps beside a file, too: it would wait at a FIFO's open() for ever, whatever signal comes.
  for (const char* const end : {"", "-journal", "-wal", "-shm"})
    if (!nowhere) require_regular_or_absent(name_ + end);
  if (how == Open::shared && !nowhere) make_private(path);
  const int flags = how == Open::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const int code = ::sqlite3_open_v2(path.c_str(), &database_, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  try {
    if (code) fail_sqlite(database_, code, name_);
    ::sqlite3_extended_result_codes(database_, 1);
    ::sqlite3_busy_timeout(database_, kBusyMilliseconds);
    ::sqlite3_limit(database_, SQLITE_LIMIT_LENGTH, kLongestValue);
    // What a file says of itself is not trusted.
    ::sqlite3_db_config(database_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    ::sqlite3_db_config(database_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
    ::sqlite3_db_config(database_, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
    ::sqlite3_db_config(database_, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
    execute("PRAGMA cell_size_check = ON");
    check_kind(kind, how);
  } catch (...) {
    close();
    throw;
  }
}

void Database::check_kind(const DatabaseKind& kind, Open how) {
  const auto check_id = [&] {
    const int64_t id = pragma(*this, "PRAGMA application_id");
    const int64_t version = pragma(*this, "PRAGMA user_version");
    const bool empty = id == 0 && version == 0 && pragma(*this, "SELECT count(*) FROM sqlite_schema") == 0;
    require(empty || id == kind.application_id, "{}: is a database, but not {}; name another file", name_, kind.what);
    require(empty || version <= kind.version,
            "{}: {} of version {}, and this program knows version {}; use a newer ingrain", name_, kind.what, version,
            kind.version);
    return empty;
  };
  bool empty = check_id();  // before anything is changed in what may be somebody else's
  if (how == Open::shared) {
    execute("PRAGMA journal_mode = WAL");
    execute("PRAGMA synchronous = FULL");  // with WAL: each commit is synced, so that power loss spares it, too
    execute("PRAGMA journal_size_limit = 67108864");
  } else if (how == Open::alone) {
    execute("PRAGMA journal_mode = MEMORY");
    execute("PRAGMA synchronous = OFF");
  }
  if (empty) {
    require(how != Open::read_only, "{}: is empty; it was not written to its end", name_);
    Transaction transaction(*this);
    if ((empty = check_id())) {  // nobody else made them meanwhile
      execute(kind.schema);
      execute(fmt::format("PRAGMA application_id = {}", kind.application_id).c_str());
      execute(fmt::format("PRAGMA user_version = {}", kind.version).c_str());
    }
    transaction.commit();
    if (empty) return;
  }
  if (kind.upgrade && how == Open::shared && pragma(*this, "PRAGMA user_version") < kind.version) {
    Transaction transaction(*this);
    if (pragma(*this, "PRAGMA user_version") < kind.version) {  // nobody else did it meanwhile
      execute(kind.upgrade);
      execute(fmt::format("PRAGMA user_version = {}", kind.version).c_str());
    }
    transaction.commit();
  }
  Database ours(":memory:", kind, Open::alone);
  require(schema_text(*this) == schema_text(ours),
          "{}: its tables are not those of {}; it was changed or damaged: name another file", name_, kind.what);
}

Database::~Database() { close(); }

void Database::close() {
  for (const auto& [sql, statement] : statements_) ::sqlite3_finalize(statement);
  statements_.clear();
  ::sqlite3_close(database_);
  database_ = nullptr;
}

sqlite3_stmt* Database::prepared(const char* sql) {
  sqlite3_stmt*& statement = statements_[sql];
  if (!statement) {
    const int code = ::sqlite3_prepare_v3(database_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code) fail_sqlite(database_, code, name_);
  }
  return statement;
}

void Database::execute(const char* sql) {
  const int code = ::sqlite3_exec(database_, sql, nullptr, nullptr, nullptr);
  if (code) fail_sqlite(database_, code, name_);
}

int64_t Database::changes() const { return ::sqlite3_changes64(database_); }

int64_t Database::last_row() const { return ::sqlite3_last_insert_rowid(database_); }

std::string Database::bytes() const {
  sqlite3_int64 size = 0;
  const std::unique_ptr<unsigned char, decltype(&::sqlite3_free)> image(
      ::sqlite3_serialize(database_, "main", &size, 0), &::sqlite3_free);
  require(image != nullptr, "{}: {} bytes do not fit into memory", name_, size);
  return {reinterpret_cast<const char*>(image.get()), static_cast<size_t>(size)};
}

void Database::become(const Database& other) {
  sqlite3_backup* copy = ::sqlite3_backup_init(database_, "main", other.database_, "main");
  if (!copy) fail_sqlite(database_, ::sqlite3_errcode(database_), name_);
  ::sqlite3_backup_step(copy, -1);
  if (const int code = ::sqlite3_backup_finish(copy)) fail_sqlite(nullptr, code, other.name_);
}

Transaction::~Transaction() {
  if (!database_) return;
  try {
    database_->execute("ROLLBACK");
  } catch (const Error&) {  // SQLite has rolled back by itself (no space)
  }
}

void Transaction::commit() {
  database_->execute("COMMIT");
  database_ = nullptr;
}

}  // namespace ingrain::serve
