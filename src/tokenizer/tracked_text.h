// A text that is being changed, and where each of its bytes comes from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ingrain::tokenizer {

/// Bytes [begin, end) of the text that a caller gave.
struct Origin {
  uint32_t begin, end;
  bool operator==(const Origin&) const = default;
};

struct TrackedText {
  std::string text;
  std::vector<Origin> origins;  // one for each byte, or none where nobody asks for them
  bool tracked = false;
  bool keeps_beginning = true;  // the first byte comes from the beginning of the original, or stands before it

  TrackedText() = default;
  /// A part of the original that begins at its byte `at`.
  TrackedText(std::string_view part, bool track, size_t at) : text(part), tracked(track) {
    if (!track) return;
    origins.reserve(part.size());
    for (size_t i = at; i < at + part.size(); ++i)
      origins.push_back({static_cast<uint32_t>(i), static_cast<uint32_t>(i + 1)});
  }
};

/// Writes the successor of a text from left to right.
class Rewrite {
 public:
  explicit Rewrite(const TrackedText& from) : from_(from) {
    out_.tracked = from.tracked;
    out_.keeps_beginning = from.keeps_beginning;
    out_.text.reserve(from.text.size() + from.text.size() / 8);
    if (from.tracked) out_.origins.reserve(from.text.size());
  }

  /// Bytes [begin, end) as they are.
  void keep(size_t begin, size_t end) {
    note(begin, end - begin);
    out_.text.append(from_.text, begin, end - begin);
    if (from_.tracked)
      out_.origins.insert(out_.origins.end(), from_.origins.begin() + static_cast<std::ptrdiff_t>(begin),
                          from_.origins.begin() + static_cast<std::ptrdiff_t>(end));
  }
  /// `by`, which comes from bytes [begin, end), at least one.
  void replace(size_t begin, size_t end, std::string_view by) {
    note(begin, by.size());
    out_.text += by;
    if (from_.tracked)
      out_.origins.insert(out_.origins.end(), by.size(), {from_.origins[begin].begin, from_.origins[end - 1].end});
  }
  /// `by` before byte `at`, with the place of what stands before it.
  void insert(size_t at, std::string_view by) {
    out_.text += by;
    if (from_.tracked)
      out_.origins.insert(out_.origins.end(), by.size(), at > 0 ? from_.origins[at - 1] : Origin{0, 0});
  }
  std::string_view written() const { return out_.text; }
  TrackedText finish() && { return std::move(out_); }

 private:
  void note(size_t begin, size_t bytes) {
    if (out_.text.empty() && bytes > 0 && begin > 0) out_.keeps_beginning = false;
  }

  const TrackedText& from_;
  TrackedText out_;
};

}  // namespace ingrain::tokenizer
