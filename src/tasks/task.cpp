#include "tasks/task.h"

#include <algorithm>

namespace ingrain::tasks {
namespace {

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

}  // namespace

double contained(std::string_view output, const std::vector<std::string>& answers) {
  if (answers.empty()) return 0;
  const std::string text = lowered(output);
  const auto found = std::count_if(answers.begin(), answers.end(),
                                   [&](const std::string& answer) { return text.find(lowered(answer)) != text.npos; });
  return static_cast<double>(found) / static_cast<double>(answers.size());
}

}  // namespace ingrain::tasks
