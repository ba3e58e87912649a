// What `ingrain eval --measure` measures beside the loss: recall by age, RULER, latency.
#pragma once

#include "cli/model_options.h"

namespace ingrain::cli {

struct MeasureOptions {
  std::string name = "loss";
  int64_t facts = 40, window = 0, samples = 10, write = 64;
  std::vector<int64_t> windows = {0, 1, 2, 4, 8, 16, 32, 64}, lengths = {1024, 4096};
  std::vector<std::string> tasks;
  uint64_t seed = 1;
  bool print = false;  // what would be asked, a line of JSON each, in place of asking it

  void add_to(CLI::App& command);
  /// Prints a table, or JSON. `text`: the book that things are hidden in, or that is read. `learning`: "on", "off",
  /// "both".
  void run(const ModelOptions& model, const std::string& text, const std::string& learning, bool as_json) const;
};

}  // namespace ingrain::cli
