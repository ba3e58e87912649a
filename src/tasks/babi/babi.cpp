#include "tasks/babi/babi.h"

#include "base/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>

namespace ingrain::tasks {
namespace {

using data::SplitMix64;
using Names = std::vector<std::string>;

const Names kPeople{"Edith", "Oswin", "Marta", "Tobias"};
const Names kPlaces{"cellar", "attic", "stable", "orchard", "pantry", "library"};
const Names kObjects{"lantern", "kettle", "ledger", "violin"};
const Names kDirections{"north", "south", "east", "west"};
constexpr const char* kOpposite[] = {"south", "north", "west", "east"};

const std::string& one_of(const Names& words, SplitMix64& random) { return words[random.below(words.size())]; }

const std::string& another(const Names& words, const std::string& than, SplitMix64& random) {
  for (;;)
    if (const std::string& word = one_of(words, random); word != than) return word;
}

/// People who walk about, take things, carry and leave them.
class House {
 public:
  explicit House(SplitMix64& random) : random_(random) {}

  /// Somebody goes somewhere else, or takes or leaves something.
  void live(bool with_things) {
    const std::string& who = one_of(kPeople, random_);
    const auto place = place_of_.find(who);
    if (with_things && place != place_of_.end() && random_.below(2) == 0) {
      if (const auto held = held_by(who)) {
        story_.push_back(fmt::format("{} left the {} there.", who, *held));
        holder_.erase(*held);
        return;
      }
      const std::string& thing = one_of(kObjects, random_);
      const bool is_here = way_of_[thing].empty() || way_of_[thing].back() == place->second;
      if (!holder_.contains(thing) && is_here) {
        story_.push_back(fmt::format("{} took the {} there.", who, thing));
        holder_[thing] = who;
        visit(thing, place->second);
        return;
      }
    }
    const std::string where = another(kPlaces, place == place_of_.end() ? "" : place->second, random_);
    story_.push_back(fmt::format("{} went to the {}.", who, where));
    place_of_[who] = where;
    if (const auto held = held_by(who)) visit(*held, where);
  }

  const Names& story() const { return story_; }
  const std::map<std::string, std::string>& place_of() const { return place_of_; }
  /// The places where a thing has been, in order.
  const std::map<std::string, Names>& way_of() const { return way_of_; }

 private:
  std::optional<std::string> held_by(const std::string& who) const {
    for (const auto& [thing, holder] : holder_)
      if (holder == who) return thing;
    return std::nullopt;
  }
  void visit(const std::string& thing, const std::string& place) {
    if (way_of_[thing].empty() || way_of_[thing].back() != place) way_of_[thing].push_back(place);
  }

  SplitMix64& random_;
  Names story_;
  std::map<std::string, std::string> place_of_, holder_;
  std::map<std::string, Names> way_of_;
};

Story where_is_somebody(SplitMix64& random) {
  House house(random);
  for (int i = 0; i < 6; ++i) house.live(false);
  auto one = house.place_of().begin();
  std::advance(one, random.below(house.place_of().size()));
  return {house.story(), fmt::format("Where is {}?", one->first), one->second};
}

/// A thing that has been in `least` places.
Story where_is_something(size_t least, SplitMix64& random) {
  House house(random);
  for (;;) {
    house.live(true);
    for (const auto& [thing, way] : house.way_of()) {
      if (way.size() < least || house.story().size() < 8) continue;
      if (least == 2) return {house.story(), fmt::format("Where is the {}?", thing), way.back()};
      // The place before the last time that it came there.
      return {house.story(), fmt::format("Where was the {} before the {}?", thing, way.back()), way[way.size() - 2]};
    }
  }
}

Story what_lies_there(SplitMix64& random) {
  const std::vector<uint32_t> order = random.permutation(static_cast<uint32_t>(kPlaces.size()));
  const std::string &a = kPlaces[order[0]], &b = kPlaces[order[1]], &c = kPlaces[order[2]];
  const size_t first = random.below(4);
  const size_t second = (first + 1 + random.below(3)) % 4;
  // a lies in one direction of b, b in another of c.
  Story out{{fmt::format("The {} is {} of the {}.", a, kDirections[first], b),
             fmt::format("The {} is {} of the {}.", b, kDirections[second], c)},
            "",
            ""};
  if (random.below(2) == 0) return {out.sentences, fmt::format("What is {} of the {}?", kDirections[first], b), a};
  return {out.sentences, fmt::format("What is the {} {} of?", b, kDirections[second]), c};
}

Story who_gave_what(SplitMix64& random) {
  Story out;
  std::vector<uint32_t> things = random.permutation(static_cast<uint32_t>(kObjects.size()));
  struct Gift {
    std::string from, thing, to;
  };
  std::vector<Gift> gifts;
  for (int i = 0; i < 3; ++i) {
    const std::string from = one_of(kPeople, random), to = another(kPeople, from, random);
    gifts.push_back({from, kObjects[things[static_cast<size_t>(i)]], to});
    out.sentences.push_back(fmt::format("{} went to the {}.", from, one_of(kPlaces, random)));
    out.sentences.push_back(fmt::format("{} gave the {} to {}.", from, gifts.back().thing, to));
  }
  const Gift& asked = gifts[random.below(gifts.size())];
  switch (random.below(2)) {
    case 0: return {out.sentences, fmt::format("Who gave the {} to {}?", asked.thing, asked.to), asked.from};
    default: return {out.sentences, fmt::format("Who did {} give the {} to?", asked.from, asked.thing), asked.to};
  }
}

Task hidden(int number, const Book& book, int64_t size, SplitMix64& random) {
  const Story example = tell_story(number, random), story = tell_story(number, random);
  const auto& all = book.sentences();
  Names lines;
  for (int64_t i = 0; i < size; ++i) lines.push_back(all[static_cast<size_t>(i) % all.size()]);
  std::vector<size_t> places;
  for (size_t i = 0; i < story.sentences.size(); ++i) places.push_back(random.below(lines.size() + 1));
  std::sort(places.begin(), places.end());
  for (size_t i = 0; i < places.size(); ++i)
    lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(places[i] + i), story.sentences[i]);
  return {
      fmt::format("A story is hidden in a book. Only the story's sentences matter for the question, and what they say "
                  "last holds. Answer in one word.\n\nExample\n{}\nQuestion: {}\nAnswer: {}\n\nBook\n{}\nQuestion: {}",
                  fmt::join(example.sentences, " "), example.question, example.answer, fmt::join(lines, " "),
                  story.question),
      "\nAnswer:",
      {story.answer}};
}

}  // namespace

Story tell_story(int task, SplitMix64& random) {
  switch (task) {
    case 1: return where_is_somebody(random);
    case 2: return where_is_something(2, random);
    case 3: return where_is_something(3, random);
    case 4: return what_lies_there(random);
    case 5: return who_gave_what(random);
    default: break;
  }
  fail("there is no story {}; there are 1 to 5", task);
}

const std::vector<SizedTask>& babi_tasks() {
  static const std::vector<SizedTask> all = [] {
    std::vector<SizedTask> out;
    for (int number = 1; number <= 5; ++number)
      out.push_back(
          {fmt::format("qa{}", number), 8, 0, [number](const Book& book, int64_t size, int64_t, SplitMix64& random) {
             return hidden(number, book, size, random);
           }});
    return out;
  }();
  return all;
}

}  // namespace ingrain::tasks
