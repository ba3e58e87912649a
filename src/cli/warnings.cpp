#include "cli/warnings.h"

#include "base/text.h"

#include <fmt/format.h>

#include <cstdio>

namespace ingrain::cli {

void say_warning(std::string_view text) {
  std::fprintf(stderr, "ingrain: warning: %.*s\n", static_cast<int>(text.size()), text.data());
}

void say_warnings(const tokenizer::Tokenizer& tokenizer) {
  for (const std::string& warning : tokenizer.warnings()) say_warning(warning);
}

void say_double_beginning(const tokenizer::Tokenizer& tokenizer, int32_t bos) {
  say_warning(
      fmt::format("the text begins with '{0}', which is put before every text, so that the model reads it twice; "
                  "leave it out",
                  printable(tokenizer.id_to_bytes(bos))));
}

}  // namespace ingrain::cli
