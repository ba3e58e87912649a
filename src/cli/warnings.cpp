#include "cli/warnings.h"

#include <cstdio>

namespace ingrain::cli {

void say_warning(std::string_view text) {
  std::fprintf(stderr, "ingrain: warning: %.*s\n", static_cast<int>(text.size()), text.data());
}

void say_warnings(const tokenizer::Tokenizer& tokenizer) {
  for (const std::string& warning : tokenizer.warnings()) say_warning(warning);
}

}  // namespace ingrain::cli
