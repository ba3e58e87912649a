#include "tasks/facts.h"

#include "base/error.h"

#include <algorithm>
#include <set>
#include <string_view>

namespace ingrain::tasks {
namespace {

using data::SplitMix64;

constexpr std::string_view kBegin[] = {"Bar", "Bel", "Cor", "Dal", "Dun", "Fen", "Gar", "Hal",
                                       "Ith", "Kel", "Lan", "Mar", "Nor", "Ost", "Pel", "Quin",
                                       "Ros", "Sel", "Tor", "Ulm", "Ven", "Wex", "Yar", "Zan"};
constexpr std::string_view kEnd[] = {"abry",  "adine", "agor",  "ander", "aston", "elow", "emont",
                                     "endal", "erby",  "erick", "idge",  "igan",  "illo", "imore",
                                     "orin",  "othy",  "umber", "under", "uthen", "yster"};
constexpr std::string_view kThings[] = {"lighthouse", "mill",    "abbey",   "ferry",   "observatory",
                                        "quarry",     "orchard", "brewery", "harbour", "archive",
                                        "foundry",    "theatre", "tannery", "chapel",  "granary"};
constexpr std::string_view kKinds[] = {"name", "place", "number", "code"};

template <size_t N>
std::string one_of(const std::string_view (&words)[N], SplitMix64& random) {
  return std::string(words[random.below(N)]);
}

std::string word(SplitMix64& random) {
  const std::string begin = one_of(kBegin, random);
  return begin + one_of(kEnd, random);
}

std::string value_of(std::string_view kind, SplitMix64& random) {
  if (kind == "name" || kind == "place") return word(random);
  if (kind == "number") return std::to_string(1000 + random.below(9000));
  constexpr std::string_view letters = "BCDFGHJKLMNPQRSTVWXZ";
  std::string out;
  for (int i = 0; i < 2; ++i) out += letters[random.below(letters.size())];
  return out + "-" + std::to_string(100 + random.below(900));
}

struct Words {
  std::string cloze, after, question;  // a sentence is: cloze, a space, the value, after
};

Words words_for(std::string_view kind, const std::string& subject) {
  if (kind == "name")
    return {"The keeper of the " + subject + " is called", ".", "What is the keeper of the " + subject + " called?"};
  if (kind == "place")
    return {"The owner of the " + subject + " was born in", ".", "Where was the owner of the " + subject + " born?"};
  if (kind == "number")
    return {"The number of bricks of the " + subject + " is", ".", "How many bricks has the " + subject + "?"};
  return {"The code of the door of the " + subject + " is", ".",
          "What is the code of the door of the " + subject + "?"};
}

}  // namespace

const char* told_name(Told told) {
  switch (told) {
    case Told::once: return "once";
    case Told::updated: return "updated";
    case Told::deleted: return "deleted";
    case Told::never: break;
  }
  return "never";
}

std::vector<Fact> make_facts(int64_t count, uint64_t seed, const std::vector<Told>& told) {
  require(!told.empty(), "facts: nothing says how they are told");
  constexpr size_t kMost = std::size(kThings) * std::size(kBegin) * std::size(kEnd);
  require(count >= 0 && static_cast<size_t>(count) <= kMost / 2, "{} facts are too many; at most {} have subjects",
          count, kMost / 2);
  SplitMix64 random(seed);
  std::set<std::string> subjects;
  std::vector<Fact> out;
  while (out.size() < static_cast<size_t>(count)) {
    const std::string thing = one_of(kThings, random), subject = thing + " of " + word(random);
    if (!subjects.insert(subject).second) continue;
    const std::string_view kind = kKinds[out.size() % std::size(kKinds)];
    const Words words = words_for(kind, subject);
    Fact fact{.kind = std::string(kind),
              .told = told[out.size() / std::size(kKinds) % told.size()],
              .question = words.question,
              .cloze = words.cloze,
              .value = value_of(kind, random),
              .old_value = {},
              .others = {},
              .first = {},
              .second = {}};
    std::set<std::string> others;
    while (others.size() < 9)
      if (const std::string other = value_of(kind, random); other != fact.value) others.insert(other);
    fact.others.assign(others.begin(), others.end());
    const auto sentence = [&](const std::string& value) { return words.cloze + " " + value + words.after; };
    if (fact.told == Told::updated) {
      fact.old_value = fact.others[random.below(fact.others.size())];  // a model may mistake it for the new one
      fact.first = sentence(fact.old_value);
      fact.second = "This has changed. " + sentence(fact.value);
    } else if (fact.told != Told::never) {
      fact.first = sentence(fact.value);
    }
    if (fact.told == Told::deleted) fact.second = "It is not true any more that t" + sentence(fact.value).substr(1);
    out.push_back(std::move(fact));
  }
  return out;
}

std::string hide(const std::vector<Fact>& facts, const Book& book, size_t& paragraphs_used) {
  const auto& paragraphs = book.paragraphs();
  require(!paragraphs.empty(), "the book has no paragraphs of 200 to 900 bytes to hide facts between");
  std::string out;
  paragraphs_used = 0;
  for (const auto said : {&Fact::first, &Fact::second})
    for (const Fact& fact : facts) {
      if ((fact.*said).empty()) continue;
      out += paragraphs[paragraphs_used++ % paragraphs.size()] + "\n\n" + fact.*said + "\n\n";
    }
  return out;
}

}  // namespace ingrain::tasks
