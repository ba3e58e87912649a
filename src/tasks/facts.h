// Made-up facts (a name, a place, a number, a code) that are told in a book and asked for later.
#pragma once

#include "data/random.h"
#include "tasks/book.h"

#include <cstdint>
#include <string>
#include <vector>

namespace ingrain::tasks {

/// What happened to a fact before it is asked for.
enum class Told {
  once,     // said
  updated,  // said, then said anew with another value: the new one is asked for
  deleted,  // said, then taken back: the value is no longer true
  never,    // not said: what chance and plausibility give
};
const char* told_name(Told told);

struct Fact {
  std::string kind;  // "name", "place", "number", "code"
  Told told;
  std::string question;             // "What is the keeper of the mill of Barabry called?"
  std::string cloze;                // "The keeper of the mill of Barabry is called": the value goes on from it
  std::string value;                // that is asked for
  std::string old_value;            // of an updated one: what was said first
  std::vector<std::string> others;  // nine of the same kind
  std::string first, second;        // what is said: first all firsts, then all seconds; empty: nothing
};

/// No subject occurs twice; kinds go round, and `told` goes round with each kind. The same seed gives the same facts.
std::vector<Fact> make_facts(int64_t count, uint64_t seed, const std::vector<Told>& told);

/// The book's beginning with the facts in it: a paragraph, what is said first of a fact, a paragraph, ... and then so
/// with what is said second. `paragraphs_used`: where the book goes on.
std::string hide(const std::vector<Fact>& facts, const Book& book, size_t& paragraphs_used);

}  // namespace ingrain::tasks
