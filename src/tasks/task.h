// What a model is asked, and how its answer is judged. No model here: texts in, texts and numbers out.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain::tasks {

struct Task {
  std::string prompt;
  std::string answer_prefix;         // goes on from the prompt; the answer goes on from it
  std::vector<std::string> answers;  // what the answer should contain
};

using CountTokens = std::function<int64_t(std::string_view text)>;

/// The share of `answers` that `output` contains, whatever the case (ASCII's).
double contained(std::string_view output, const std::vector<std::string>& answers);

}  // namespace ingrain::tasks
