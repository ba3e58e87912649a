// Needles in a haystack: sentences that give values to keys, in noise, in a book, or among needles of the same kind.
#include "tasks/ruler/ruler.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace ingrain::tasks {
namespace {

using data::SplitMix64;

enum class Haystack { noise, book, needles };
enum class Kind { words, numbers, uuids };

struct Needles {
  const char* name;
  Haystack haystack;
  Kind keys, values;
  int64_t key_count = 1, values_each = 1, asked = 1;
};

// As RULER's configuration has them. With several asked there are as many keys.
constexpr Needles kAll[] = {
    {"niah_single_1", Haystack::noise, Kind::words, Kind::numbers},
    {"niah_single_2", Haystack::book, Kind::words, Kind::numbers},
    {"niah_single_3", Haystack::book, Kind::words, Kind::uuids},
    {"niah_multikey_1", Haystack::book, Kind::words, Kind::numbers, 4},
    {"niah_multikey_2", Haystack::needles, Kind::words, Kind::numbers},
    {"niah_multikey_3", Haystack::needles, Kind::uuids, Kind::uuids},
    {"niah_multivalue", Haystack::book, Kind::words, Kind::numbers, 1, 4},
    {"niah_multiquery", Haystack::book, Kind::words, Kind::numbers, 4, 1, 4},
};

constexpr const char* kNoise =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";
constexpr uint64_t kDepths = 40;  // places in a book: so many from its beginning to its end

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::words: return "words";
    case Kind::numbers: return "numbers";
    case Kind::uuids: break;
  }
  return "uuids";
}

std::string drawn(Kind kind, const Book& book, SplitMix64& random) {
  const auto word = [&] { return book.words()[random.below(book.words().size())]; };
  switch (kind) {
    case Kind::words: {
      const std::string first = word();
      return first + "-" + word();
    }
    case Kind::numbers: return std::to_string(1'000'000 + random.below(9'000'000));
    case Kind::uuids: break;
  }
  const uint64_t high = (random.next() & ~uint64_t{0xF000}) | 0x4000;                 // version 4
  const uint64_t low = (random.next() & ~(uint64_t{3} << 62)) | (uint64_t{2} << 62);  // RFC 4122's variant
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xFFFF, high & 0xFFFF, low >> 48,
                     low & 0xFFFFFFFFFFFF);
}

std::string needle(Kind values, const std::string& key, const std::string& value) {
  return fmt::format("One of the special magic {} for {} is: {}.", name_of(values), key, value);
}

/// So many different numbers below `range`, rising.
std::vector<size_t> places(size_t count, size_t range, SplitMix64& random) {
  const std::vector<uint32_t> order = random.permutation(static_cast<uint32_t>(range));
  std::vector<size_t> out(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(std::min(count, range)));
  std::sort(out.begin(), out.end());
  return out;
}

/// The book's first `size` words' worth of sentences, with a needle at each of as many depths.
std::string in_book(const Book& book, int64_t size, const std::vector<std::string>& needles, SplitMix64& random) {
  std::vector<std::string> sentences;
  const auto& all = book.sentences();
  for (int64_t i = 0; i < size; ++i) sentences.push_back(all[static_cast<size_t>(i) % all.size()]);
  std::vector<std::string> out;
  size_t next = 0;
  const std::vector<size_t> depths = places(needles.size(), kDepths, random);
  for (size_t i = 0; i < needles.size(); ++i) {
    const auto at = sentences.size() * depths[i] / (kDepths - 1);
    for (; next < at; ++next) out.push_back(sentences[next]);
    out.push_back(needles[i]);
  }
  for (; next < sentences.size(); ++next) out.push_back(sentences[next]);
  return fmt::format("{}", fmt::join(out, " "));
}

std::string in_lines(std::vector<std::string> lines, const std::vector<std::string>& needles, SplitMix64& random) {
  const std::vector<size_t> at = places(needles.size(), lines.size(), random);
  for (size_t i = needles.size(); i-- > 0;)
    lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(at[i]), needles[i]);
  return fmt::format("{}", fmt::join(lines, "\n"));
}

Task make(const Needles& n, const Book& book, int64_t size, SplitMix64& random) {
  std::vector<std::string> keys, needles;
  std::vector<std::vector<std::string>> values;
  for (int64_t k = 0; k < n.key_count; ++k) {
    keys.push_back(drawn(n.keys, book, random));
    values.emplace_back();
    for (int64_t v = 0; v < n.values_each; ++v) {
      values.back().push_back(drawn(n.values, book, random));
      needles.push_back(needle(n.values, keys.back(), values.back().back()));
    }
  }
  const std::vector<uint32_t> order = random.permutation(static_cast<uint32_t>(needles.size()));
  std::vector<std::string> mixed;
  for (const uint32_t i : order) mixed.push_back(needles[i]);

  std::string context;
  if (n.haystack == Haystack::book) {
    context = in_book(book, size, mixed, random);
  } else {
    std::vector<std::string> lines;
    for (int64_t i = 0; i < size; ++i) {
      if (n.haystack == Haystack::noise) {
        lines.emplace_back(kNoise);
        continue;
      }
      const std::string key = drawn(n.keys, book, random);
      lines.push_back(needle(n.values, key, drawn(n.values, book, random)));
    }
    context = in_lines(std::move(lines), mixed, random);
  }

  Task out;
  std::vector<std::string> asked;
  for (const size_t i : places(static_cast<size_t>(n.asked), keys.size(), random)) {
    asked.push_back(keys[i]);
    out.answers.insert(out.answers.end(), values[i].begin(), values[i].end());
  }
  std::string query = asked[0];
  if (asked.size() > 1) {
    query = fmt::format("{}, and {}", fmt::join(asked.begin(), asked.end() - 1, ", "), asked.back());
  }
  std::string what = name_of(n.values);
  const bool one = n.asked * n.values_each == 1;
  if (one) what.pop_back();
  out.prompt = fmt::format(
      "{} special magic {} {} hidden within the following text. Make sure to memorize it. I will quiz you about the {} "
      "afterwards.\n{}\nWhat {} special magic {} for {} mentioned in the provided text?",
      one ? "A" : "Some", what, one ? "is" : "are", what, context, one ? "is the" : "are all the", what, query);
  out.answer_prefix =
      fmt::format(" The special magic {} for {} mentioned in the provided text {}", what, query, one ? "is" : "are");
  return out;
}

}  // namespace

void add_needles(std::vector<SizedTask>& out) {
  for (const Needles& n : kAll) {
    // A book's depths must fall between sentences, and each needle among lines needs a place of its own.
    const int64_t least = n.haystack == Haystack::book ? 1 : n.key_count * n.values_each;
    out.push_back({n.name, 128, least, [&n](const Book& book, int64_t size, int64_t, SplitMix64& random) {
                     return make(n, book, size, random);
                   }});
  }
}

}  // namespace ingrain::tasks
