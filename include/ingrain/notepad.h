// The notepad: what was read, kept as it was written and found again by the words of a question. A memory has the gist,
// the notepad beside it the exact words (docs/notepad.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain {

struct Passage {
  std::string source;   // the document's name
  uint64_t offset = 0;  // of its first byte in the document
  double score = 0;     // BM25: higher is better; comparable within one search
  std::string text;
};

/// In RAM; several threads may use it at once.
class Notepad {
 public:
  Notepad();
  Notepad(Notepad&&) noexcept;
  Notepad& operator=(Notepad&&) noexcept;
  ~Notepad();

  /// A copy of the notes that lie beside a memory file. Error if there are none, or the file is no notepad.
  static Notepad beside(const std::filesystem::path& memory);
  /// Writes it beside a memory file, whole or not at all. Error if what lies there is no notepad: it is not touched.
  void save_beside(const std::filesystem::path& memory) const;

  /// A document's text, cut into passages. How many. Error for a name of more than 4096 bytes, or more than 1 GiB.
  int64_t add(std::string_view document, std::string_view text);
  int64_t passages() const;
  /// At most `limit` passages that fit the words of a question best, best first.
  std::vector<Passage> search(std::string_view question, int64_t limit) const;

  /// For Dialogue::aside(): what a model reads of them before the question.
  static std::string text_of(const std::vector<Passage>& passages);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace ingrain
