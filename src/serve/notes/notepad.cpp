#include "serve/notes/notepad.h"

#include "base/files.h"
#include "base/open_files.h"
#include "base/text.h"
#include "serve/notes/passages.h"
#include "serve/notes/words.h"

#include <algorithm>
#include <limits>

namespace ingrain::serve {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLongestName = 4096, kLongestText = size_t{1} << 30;
constexpr size_t kLongestPassage = 8192;  // of others' files
constexpr int64_t kMostPassages = 64, kDeepest = 1000;

// A set without a name was removed, and others began with it. The two indices hold words alone: the text is in
// passages.
constexpr DatabaseKind kNotesFile{"a notepad", 0x696e6e31, 1, R"sql(
CREATE TABLE sets (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, parent INTEGER NOT NULL,
                   parent_end INTEGER NOT NULL);
CREATE INDEX sets_by_parent ON sets (parent);
CREATE TABLE sources (id INTEGER PRIMARY KEY AUTOINCREMENT, set_id INTEGER NOT NULL, name TEXT NOT NULL);
CREATE INDEX sources_by_set ON sources (set_id);
CREATE TABLE passages (id INTEGER PRIMARY KEY AUTOINCREMENT, set_id INTEGER NOT NULL, source INTEGER NOT NULL,
                       english INTEGER NOT NULL, start INTEGER NOT NULL, text TEXT NOT NULL);
CREATE INDEX passages_by_set ON passages (set_id);
CREATE VIRTUAL TABLE english USING fts5 (words, content = '', tokenize = 'porter unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE other USING fts5 (words, content = '', tokenize = 'unicode61 remove_diacritics 2');
)sql"};

// A set and those that it began with, each with the last passage of it that belongs here.
#define CHAIN_OF_SET                                                                            \
  "WITH RECURSIVE chain (id, parent, parent_end, last) AS (SELECT id, parent, parent_end,"      \
  " 9223372036854775807 FROM sets WHERE id = ?1 UNION ALL SELECT s.id, s.parent, s.parent_end," \
  " min(c.last, c.parent_end) FROM chain c JOIN sets s ON s.id = c.parent LIMIT 1000) "
#define BEST_OF(index)                                                              \
  CHAIN_OF_SET "SELECT p.id, f.rank FROM " index                                    \
               " f JOIN passages p ON p.id = f.rowid"                               \
               " JOIN chain c ON c.id = p.set_id AND p.id <= c.last WHERE f." index \
               " MATCH ?2"                                                          \
               " ORDER BY f.rank, p.id LIMIT ?3"

void check_name(const char* what, std::string_view name) {
  require(name.size() <= kLongestName, "notepad: {} of {} bytes; at most {} are kept", what, name.size(), kLongestName);
}

}  // namespace

Notepad::Notepad(const fs::path& file, Open how) : db_(file, kNotesFile, how) {}

int64_t Notepad::set_id(std::string_view set) const {
  Query row = db_.query("SELECT id FROM sets WHERE name = ?1", set);
  return row.step() ? row.integer(0) : 0;
}

int64_t Notepad::make_set(std::string_view set, int64_t parent) {
  check_name("the name of a set", set);
  db_.query("INSERT INTO sets (name, parent, parent_end) VALUES (?1, ?2, (SELECT coalesce(max(id), 0) FROM passages))",
            set, parent)
      .run();
  return db_.last_row();
}

void Notepad::index(bool english, int64_t passage, const std::string& words, bool remove) {
  if (remove && english)
    db_.query("INSERT INTO english (english, rowid, words) VALUES ('delete', ?1, ?2)", passage, words).run();
  else if (remove)
    db_.query("INSERT INTO other (other, rowid, words) VALUES ('delete', ?1, ?2)", passage, words).run();
  else if (english)
    db_.query("INSERT INTO english (rowid, words) VALUES (?1, ?2)", passage, words).run();
  else
    db_.query("INSERT INTO other (rowid, words) VALUES (?1, ?2)", passage, words).run();
}

/// REQUIRES: the lock, and a transaction.
int64_t Notepad::add_document(int64_t set, std::string_view document, std::string_view text) {
  check_name("the name of a document", document);
  require(text.size() <= kLongestText, "notepad: {}: {} bytes; at most {} are kept", printable(document), text.size(),
          kLongestText);
  const bool english = looks_english(text);
  const std::vector<Span> spans = cut_into_passages(text);
  if (spans.empty()) return 0;
  db_.query("INSERT INTO sources (set_id, name) VALUES (?1, ?2)", set, document).run();
  const int64_t source = db_.last_row();
  for (const Span& span : spans)
    add_passage(
        set, source,
        {source, "", english, static_cast<int64_t>(span.offset), std::string(text.substr(span.offset, span.length))});
  return static_cast<int64_t>(spans.size());
}

void Notepad::add_passage(int64_t set, int64_t source, const Row& row) {
  db_.query("INSERT INTO passages (set_id, source, english, start, text) VALUES (?1, ?2, ?3, ?4, ?5)", set, source,
            int64_t{row.english}, row.start, std::string_view(row.text))
      .run();
  index(row.english, db_.last_row(), indexed_text(row.text), /*remove=*/false);
}

std::vector<Notepad::Row> Notepad::rows_of(std::string_view set) const {
  const std::scoped_lock lock(mutex_);
  std::vector<Row> out;
  Query rows =
      db_.query(CHAIN_OF_SET
                "SELECT p.source, s.name, p.english, p.start, p.text FROM chain c JOIN passages p ON p.set_id = c.id"
                " AND p.id <= c.last JOIN sources s ON s.id = p.source ORDER BY p.id",
                set_id(set));
  while (rows.step())
    out.push_back({rows.integer(0), rows.text(1), rows.integer(2) != 0, rows.integer(3), rows.text(4)});
  return out;
}

void Notepad::copy(std::string_view set, const Notepad& from, std::string_view from_set) {
  const std::vector<Row> rows = from.rows_of(from_set);
  const std::scoped_lock lock(mutex_);
  Transaction transaction(db_);
  require(set_id(set) == 0, "notepad: there is a set '{}' already; take another name", printable(set));
  const int64_t id = make_set(set, 0);
  int64_t copied = 0, source = 0;  // the other's, and its copy
  for (const Row& row : rows) {
    check_name("the name of a document", row.name);
    require(row.text.size() <= kLongestPassage && row.start >= 0, "notepad: {}: at {} is no passage: it has {} bytes",
            printable(row.name), row.start, row.text.size());
    if (row.source != copied) {
      db_.query("INSERT INTO sources (set_id, name) VALUES (?1, ?2)", id, std::string_view(row.name)).run();
      source = db_.last_row();
      copied = row.source;
    }
    add_passage(id, source, row);
  }
  transaction.commit();
}

int64_t Notepad::add(std::string_view set, std::string_view document, std::string_view text) {
  const std::scoped_lock lock(mutex_);
  Transaction transaction(db_);
  int64_t id = set_id(set);
  if (id == 0) id = make_set(set, 0);
  const int64_t passages = add_document(id, document, text);
  transaction.commit();
  return passages;
}

/// REQUIRES: the lock, and a transaction.
int64_t Notepad::make_after(std::string_view set, std::string_view from) {
  const int64_t parent = set_id(from);
  require(parent != 0, "notepad: there is no set '{}' to begin with", printable(from));
  require(set_id(set) == 0, "notepad: there is a set '{}' already; take another name", printable(set));
  Query depth = db_.query(CHAIN_OF_SET "SELECT count(*) FROM chain", parent);
  require(depth.step() && depth.integer(0) < kDeepest,
          "notepad: '{}' goes on from {} others already; copy it in place of that", printable(from), kDeepest);
  return make_set(set, parent);
}

void Notepad::make(std::string_view set, std::string_view from, const std::vector<Document>& documents) {
  const std::scoped_lock lock(mutex_);
  Transaction transaction(db_);
  if (set_id(set) != 0) return;
  const int64_t id = from.empty() ? make_set(set, 0) : make_after(set, from);
  for (const auto& [name, text] : documents) add_document(id, name, text);
  transaction.commit();
}

bool Notepad::has(std::string_view set) const {
  const std::scoped_lock lock(mutex_);
  return set_id(set) != 0;
}

void Notepad::extend(std::string_view set, std::string_view from) {
  const std::scoped_lock lock(mutex_);
  Transaction transaction(db_);
  make_after(set, from);
  transaction.commit();
}

bool Notepad::remove(std::string_view set) {
  const std::scoped_lock lock(mutex_);
  Transaction transaction(db_);
  db_.query("UPDATE sets SET name = NULL WHERE name = ?1", set).run();
  if (db_.changes() == 0) return false;
  drop_unused();
  transaction.commit();
  return true;
}

void Notepad::remove_line(std::string_view set, std::string_view prefix) {
  const std::scoped_lock lock(mutex_);
  Transaction transaction(db_);
  for (int64_t id = set_id(set); id != 0;) {
    int64_t parent = 0;
    {
      Query row = db_.query(
          "SELECT parent FROM sets s WHERE id = ?1 AND substr(name, 1, length(?2)) = ?2"
          " AND NOT EXISTS (SELECT 1 FROM sets WHERE parent = s.id)",
          id, prefix);
      if (!row.step()) break;
      parent = row.integer(0);
    }
    db_.query("UPDATE sets SET name = NULL WHERE id = ?1", id).run();
    drop_unused();
    id = parent;
  }
  transaction.commit();
}

void Notepad::remove_after(std::string_view set, std::string_view prefix) {
  const std::scoped_lock lock(mutex_);
  Transaction transaction(db_);
  db_.query(
         "WITH RECURSIVE after (id) AS (SELECT id FROM sets WHERE name = ?1"
         " UNION SELECT s.id FROM after a JOIN sets s ON s.parent = a.id WHERE substr(s.name, 1, length(?2)) = ?2)"
         " UPDATE sets SET name = NULL WHERE id IN (SELECT id FROM after) AND name <> ?1",
         set, prefix)
      .run();
  drop_unused();
  transaction.commit();
}

/// Sets without a name that no other began with, and then those that only they began with.
void Notepad::drop_unused() {
  for (;;) {
    int64_t id = 0;
    {
      Query unused = db_.query(
          "SELECT id FROM sets s WHERE name IS NULL AND NOT EXISTS (SELECT 1 FROM sets WHERE parent = s.id) LIMIT 1");
      if (!unused.step()) return;
      id = unused.integer(0);
    }
    {
      Query rows = db_.query("SELECT id, english, text FROM passages WHERE set_id = ?1", id);
      while (rows.step()) index(rows.integer(1) != 0, rows.integer(0), indexed_text(rows.text(2)), /*remove=*/true);
    }
    db_.query("DELETE FROM passages WHERE set_id = ?1", id).run();
    db_.query("DELETE FROM sources WHERE set_id = ?1", id).run();
    db_.query("DELETE FROM sets WHERE id = ?1", id).run();
  }
}

std::vector<Passage> Notepad::search(std::string_view set, std::string_view question, int64_t limit) const {
  const std::string words = match_expression(question);
  limit = std::clamp<int64_t>(limit, 0, kMostPassages);
  if (words.empty() || limit == 0) return {};
  const std::scoped_lock lock(mutex_);
  const int64_t id = set_id(set);
  std::vector<std::pair<double, int64_t>> best;  // rank, which is lower where better, and passage
  const auto take = [&](Query&& rows) {
    while (rows.step()) best.emplace_back(rows.real(1), rows.integer(0));
  };
  take(db_.query(BEST_OF("english"), id, words, limit));
  take(db_.query(BEST_OF("other"), id, words, limit));
  std::sort(best.begin(), best.end());
  if (best.size() > static_cast<size_t>(limit)) best.resize(static_cast<size_t>(limit));
  std::vector<Passage> out;
  for (const auto& [rank, passage] : best) {
    Query row = db_.query(
        "SELECT s.name, p.start, p.text FROM passages p JOIN sources s ON s.id = p.source WHERE p.id = ?1", passage);
    if (row.step()) out.push_back({row.text(0), static_cast<uint64_t>(row.integer(1)), -rank, row.text(2)});
  }
  return out;
}

int64_t Notepad::passages(std::string_view set) const {
  const std::scoped_lock lock(mutex_);
  Query row = db_.query(
      CHAIN_OF_SET "SELECT count(*) FROM chain c JOIN passages p ON p.set_id = c.id AND p.id <= c.last", set_id(set));
  return row.step() ? row.integer(0) : 0;
}

#undef CHAIN_OF_SET
#undef BEST_OF

void Notepad::save(const fs::path& file) const {
  const std::scoped_lock lock(mutex_);
  write_file(file, db_.bytes());
}

std::unique_ptr<Notepad> Notepad::copy_of(const fs::path& file) {
  const Notepad from(file, Open::read_only);
  auto out = std::make_unique<Notepad>();
  out->db_.become(from.db_);
  return out;
}

fs::path notes_file(const fs::path& memory) { return where_written(memory).string() + ".notes"; }

fs::path existing_notes_file(const fs::path& memory) {
  fs::path file = notes_file(memory);
  require(fs::exists(file), "{}: there are no notes beside the memory; 'ingrain read' writes them, unless told not to",
          file.string());
  return file;
}

void require_notepad(const fs::path& file) {
  if (!fs::exists(file)) return;
  try {
    const Notepad notes(file, Open::read_only);
  } catch (const Error& e) {
    fail("{} (a memory's notes would replace it: move it away, or give the memory another name)", e.what());
  }
}

std::string notes_text(const std::vector<Passage>& passages) {
  if (passages.empty()) return "";
  // Without blank lines, at which models without a template end their answers.
  std::string out = "Notes:";
  for (auto passage = passages.rbegin(); passage != passages.rend(); ++passage) {
    out += '\n';
    for (const char c : passage->text)
      if (c != '\n' || out.back() != '\n') out += c;
  }
  return out;
}

OwnerNotes::OwnerNotes(fs::path folder) : folder_(std::move(folder)) {
  if (!folder_.empty()) fs::create_directories(folder_);
}

std::shared_ptr<Notepad> OwnerNotes::of(const std::string& owner) {
  constexpr size_t kLongestOwner = 100, kMostOpen = 64;
  require(owner.size() <= kLongestOwner, "notepad: an owner's name of {} bytes; at most {} are taken", owner.size(),
          kLongestOwner);
  const std::scoped_lock lock(mutex_);
  std::shared_ptr<Notepad>& out = open_[owner];
  if (out) return out;
  try {
    std::string name = "_";  // hexadecimal: an owner's name is no part of a path
    for (const char c : owner) name += fmt::format("{:02x}", static_cast<uint8_t>(c));
    out = folder_.empty() ? std::make_shared<Notepad>()
                          : std::make_shared<Notepad>(folder_ / (name + ".notes"), Open::shared);
  } catch (...) {
    open_.erase(owner);
    throw;
  }
  const std::shared_ptr<Notepad> made = out;
  if (!folder_.empty() && open_.size() > kMostOpen)  // files: who still has one of them keeps it open
    std::erase_if(open_, [&](const auto& entry) { return entry.first != owner; });
  return made;
}

}  // namespace ingrain::serve
