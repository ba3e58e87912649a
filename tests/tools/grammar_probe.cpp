// Grammars of JSON Schema for the comparison in tests/python/test_grammar.py. A line of standard input is
// {"schema": ..., "texts": [...]}, and gives a line of JSON: {"refused": "..."} where the schema is, else
//   grammar_probe check TOKENIZER                {"accepted": [...]}: each text, by bytes and in the tokenizer's tokens
//   grammar_probe walk TOKENIZER SEED COUNT      {"texts": [...], "dead_ends": n}: so many random texts that the mask
//                                                allows; null for one that has found no end
//   grammar_probe time TOKENIZER                 {"masks", "mean_us", "p99_us", "max_us", "build_us"}: along the texts
#include "base/error.h"
#include "serve/grammar/json_schema.h"
#include "serve/grammar/walk.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <map>
#include <optional>
#include <random>

namespace ingrain::serve {
namespace {

using Json = nlohmann::ordered_json;

class Probe {
 public:
  explicit Probe(const std::string& tokenizer)
      : tokenizer_(tokenizer::Tokenizer::load(tokenizer)),
        trie_(std::make_shared<TokenTrie>(tokenizer_)),
        bits_((trie_->vocab_size() + 63) / 64) {}

  std::shared_ptr<const Constraint> of(const Json& schema) const { return json_constraint(schema, trie_, "schema"); }

  bool accepts(const Constraint& constraint, const std::string& text) {
    const auto walk = constraint.clone();
    const bool by_bytes = dynamic_cast<GrammarWalk&>(*walk).accept_bytes(text) && walk->may_end();
    require(by_tokens(constraint, text) == by_bytes, "tokens and bytes disagree about {}", text);
    return by_bytes;
  }

  Json walk(const Constraint& constraint, std::mt19937_64& random, int64_t& dead_ends) {
    const auto walk = constraint.clone();
    const size_t hurry = random() % 60;
    std::string out;
    for (size_t i = 0; i < hurry + 2000; ++i) {
      if (walk->complete() || (walk->may_end() && (i > hurry || random() % 8 == 0))) return out;
      walk->allow(bits_);
      ids_.clear();
      for (size_t word = 0; word < bits_.size(); ++word)
        for (uint64_t left = bits_[word]; left; left &= left - 1)
          ids_.push_back(static_cast<int32_t>(word * 64 + static_cast<size_t>(std::countr_zero(left))));
      if (ids_.empty()) {
        if (walk->may_end()) return out;
        ++dead_ends;
        return nullptr;
      }
      int32_t id = ids_[random() % ids_.size()];
      if (i > hurry || random() % 3 == 0) id = closing().value_or(id);
      walk->accept(id);
      out += trie_->bytes(id);
    }
    return nullptr;
  }

  Json time(const Json& schema, const Json& texts) {
    using Clock = std::chrono::steady_clock;
    const auto us = [](Clock::duration d) { return std::chrono::duration<double, std::micro>(d).count(); };
    const auto start = Clock::now();
    const auto constraint = of(schema);
    const double build = us(Clock::now() - start);
    std::vector<double> times;
    for (int round = 0; round < 20; ++round)
      for (const Json& text : texts) {
        const auto walk = constraint->clone();
        for (const int32_t id : tokenizer_.encode(text.get<std::string>(), {.parse_added = false})) {
          const auto before = Clock::now();
          walk->allow(bits_);
          times.push_back(us(Clock::now() - before));
          walk->accept(id);
        }
      }
    std::sort(times.begin(), times.end());
    double sum = 0;
    for (const double t : times) sum += t;
    return {{"masks", times.size()},
            {"mean_us", sum / static_cast<double>(times.size())},
            {"p99_us", times[times.size() * 99 / 100]},
            {"max_us", times.back()},
            {"build_us", build}};
  }

 private:
  bool by_tokens(const Constraint& constraint, const std::string& text) {
    const auto walk = constraint.clone();
    for (const int32_t id : tokenizer_.encode(text, {.parse_added = false})) {
      walk->allow(bits_);
      if (!has_bit(bits_, id)) return false;
      walk->accept(id);
    }
    return walk->may_end();
  }

  /// Within a string a quote closes, and brackets are text.
  std::optional<int32_t> closing() const {
    std::map<std::string_view, int32_t> found;
    for (const int32_t id : ids_)
      if (const auto bytes = trie_->bytes(id); bytes == "\"" || bytes == "}" || bytes == "]") found[bytes] = id;
    if (found.empty()) return std::nullopt;
    return found.size() == 3 ? found["\""] : found.rbegin()->second;
  }

  tokenizer::Tokenizer tokenizer_;
  std::shared_ptr<const TokenTrie> trie_;
  std::vector<uint64_t> bits_;
  std::vector<int32_t> ids_;
};

Json answer(Probe& probe, const std::vector<std::string>& args, const Json& question, std::mt19937_64& random) {
  const Json& schema = question.at("schema");
  std::shared_ptr<const Constraint> constraint;
  try {
    constraint = probe.of(schema);
  } catch (const UsageError& error) {
    return {{"refused", error.what()}};
  }
  if (args[0] == "time") return probe.time(schema, question.at("texts"));
  if (args[0] == "check") {
    Json accepted = Json::array();
    for (const Json& text : question.at("texts"))
      accepted.push_back(probe.accepts(*constraint, text.get<std::string>()));
    return {{"accepted", accepted}};
  }
  Json texts = Json::array();
  int64_t dead_ends = 0;
  for (int i = 0; i < std::stoi(args.at(3)); ++i) texts.push_back(probe.walk(*constraint, random, dead_ends));
  return {{"texts", texts}, {"dead_ends", dead_ends}};
}

void run(const std::vector<std::string>& args) {
  if (args.size() < 2 || (args[0] == "walk" && args.size() < 4))
    fail_usage("grammar_probe: see the head of tests/tools/grammar_probe.cpp for its commands");
  Probe probe(args[1]);
  std::mt19937_64 random(args.size() > 2 ? std::stoull(args[2]) : 0);
  for (std::string line; std::getline(std::cin, line);)
    std::printf("%s\n", answer(probe, args, Json::parse(line), random).dump().c_str());
}

}  // namespace
}  // namespace ingrain::serve

int main(int argc, char** argv) {
  try {
    ingrain::serve::run({argv + 1, argv + argc});
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return dynamic_cast<const ingrain::UsageError*>(&error) ? 2 : 1;
  }
}
