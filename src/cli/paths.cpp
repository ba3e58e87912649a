#include "cli/paths.h"

#include <cstdlib>

namespace ingrain::cli {

std::filesystem::path project_folder() {
  const char* home = std::getenv("INGRAIN_HOME");
  return home && *home ? home : INGRAIN_SOURCE_FOLDER;
}

}  // namespace ingrain::cli
