// Variable tracking: a chain of assignments in noise; all variables that get the first one's value are asked for.
#include "tasks/ruler/ruler.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace ingrain::tasks {
namespace {

using data::SplitMix64;

constexpr const char* kNoiseLine =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.\n";
constexpr int64_t kHops = 4, kExampleNoise = 5;

std::string variable(SplitMix64& random, int letters) {
  std::string out;
  for (int i = 0; i < letters; ++i) out += static_cast<char>('A' + random.below(26));
  return out;
}

/// The question about one chain among so many lines of noise, and its variables.
Task chain_in(int64_t noise, int letters, SplitMix64& random) {
  std::vector<std::string> names;
  std::set<std::string> known;
  while (names.size() < kHops + 1)
    if (const std::string name = variable(random, letters); known.insert(name).second) names.push_back(name);
  const std::string value = std::to_string(10'000 + random.below(89'999));
  std::vector<std::string> chain{fmt::format("VAR {} = {}", names[0], value)};
  for (size_t i = 1; i < names.size(); ++i) chain.push_back(fmt::format("VAR {} = VAR {} ", names[i], names[i - 1]));

  std::vector<std::string> lines(static_cast<size_t>(noise), kNoiseLine);
  std::vector<uint32_t> at = random.permutation(static_cast<uint32_t>(lines.size()));
  at.resize(chain.size());
  std::sort(at.begin(), at.end());
  for (size_t i = 0; i < chain.size(); ++i)
    lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(at[i] + i), chain[i]);
  std::string context = fmt::format("{}", fmt::join(lines, " "));
  for (size_t i = 0; (i = context.find(". \n", i)) != context.npos;) context.replace(i, 3, ".\n");

  return {fmt::format(
              "Memorize and track the chain(s) of variable assignment hidden in the following text.\n\n{}\nQuestion: "
              "Find all variables that are assigned the value {} in the text above.",
              context, value),
          // The misspelling is the original's: models are asked in these words.
          fmt::format(" Answer: According to the chain(s) of variable assignment in the text above, {} variables are "
                      "assgined the value {}, they are: ",
                      names.size(), value),
          names};
}

Task make(int64_t noise, SplitMix64& random) {
  const Task example = chain_in(kExampleNoise, 3, random);
  Task out = chain_in(noise, 5, random);
  out.prompt =
      fmt::format("{}{}{}\n\n{}", example.prompt, example.answer_prefix, fmt::join(example.answers, " "), out.prompt);
  return out;
}

}  // namespace

void add_variables(std::vector<SizedTask>& out) {
  out.push_back(
      {"vt", 30, kHops + 1, [](const Book&, int64_t size, int64_t, SplitMix64& random) { return make(size, random); }});
}

}  // namespace ingrain::tasks
