// The notepad beside a memory: what was read, as passages, found again by the words of a question (docs/notepad.md).
#pragma once

#include "ingrain/notepad.h"
#include "serve/store/sqlite.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain::serve {

using ingrain::Passage;

/// Passages in sets, in one SQLite database: a file beside a memory has the one set "", an owner's file in a server one
/// for each memory. Thread-safe. Errors: what the database says, with the remedy.
class Notepad {
 public:
  /// In RAM, for save().
  Notepad() : Notepad(":memory:", Open::shared) {}
  /// A file: shared (made if it is not there) or read_only. Error for a file of another kind.
  Notepad(const std::filesystem::path& file, Open how);

  /// A document's text, cut into passages; they are stemmed as English if it reads so. The set is made if there is
  /// none. How many passages. Error for a name or set of more than 4096 bytes, or a text of more than 1 GiB.
  int64_t add(std::string_view set, std::string_view document, std::string_view text);
  struct Document {
    std::string name, text;
  };
  /// A new set of all that `from` has now ("": nothing) and these documents, whole or not at all. Nothing if it is
  /// there already. Error as of add() and extend().
  void make(std::string_view set, std::string_view from, const std::vector<Document>& documents);
  bool has(std::string_view set) const;
  /// A new set that begins with all that `from` has now; nothing is copied. Error if `set` is there or `from` is not.
  void extend(std::string_view set, std::string_view from);
  /// A new set with a copy of all passages that another notepad's set has. Error if it is there already, or the other
  /// holds what is no passage.
  void copy(std::string_view set, const Notepad& from, std::string_view from_set);
  /// The set is no longer there; passages that no other set has go. Whether it was.
  bool remove(std::string_view set);
  /// Removes the set, then the one that it began with, and so on: as long as their names begin with `prefix` and no
  /// other set began with them.
  void remove_line(std::string_view set, std::string_view prefix);
  /// Removes all sets that began with this one, and those that began with them, as far as their names begin with
  /// `prefix`.
  void remove_after(std::string_view set, std::string_view prefix);

  /// The passages that fit the words of a question best, best first: of a set, and of those that it began with.
  std::vector<Passage> search(std::string_view set, std::string_view question, int64_t limit) const;
  int64_t passages(std::string_view set) const;

  /// All of it as a file, whole or absent.
  void save(const std::filesystem::path& file) const;
  /// A notepad in RAM with all that a file has.
  static std::unique_ptr<Notepad> copy_of(const std::filesystem::path& file);

 private:
  int64_t set_id(std::string_view set) const;  // 0: there is none
  int64_t make_set(std::string_view set, int64_t parent);
  int64_t make_after(std::string_view set, std::string_view from);
  struct Row {
    int64_t source = 0;
    std::string name;
    bool english = false;
    int64_t start = 0;
    std::string text;
  };
  std::vector<Row> rows_of(std::string_view set) const;
  void add_passage(int64_t set, int64_t source, const Row& row);
  int64_t add_document(int64_t set, std::string_view document, std::string_view text);
  void index(bool english, int64_t passage, const std::string& words, bool remove);
  void drop_unused();

  mutable std::mutex mutex_;
  mutable Database db_;
};

/// "book.memory.notes", beside its memory: where that is a link, beside what it names, which is what is written.
std::filesystem::path notes_file(const std::filesystem::path& memory);
/// The same, of notes that are there. Error, with the remedy, if there are none.
std::filesystem::path existing_notes_file(const std::filesystem::path& memory);

/// Error if a file that is there is no notepad, so that nothing else of that name is replaced or removed.
void require_notepad(const std::filesystem::path& file);

/// What a model reads of passages before the question: the best last, next to it.
std::string notes_text(const std::vector<Passage>& passages);

/// A server's notepads: a file for each owner in a folder, so that nothing of one is looked at for another.
/// Thread-safe.
class OwnerNotes {
 public:
  explicit OwnerNotes(std::filesystem::path folder);  // empty: in RAM
  /// Error for a name of more than 100 bytes.
  std::shared_ptr<Notepad> of(const std::string& owner);

 private:
  std::filesystem::path folder_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Notepad>> open_;
};

}  // namespace ingrain::serve
