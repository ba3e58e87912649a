#include "distributed/module.h"

#include "base/error.h"

#include <dlfcn.h>

#include <cstdlib>

namespace ingrain::distributed {

namespace fs = std::filesystem;

fs::path find_module(const char* file, const char* variable) {
  if (const char* given = std::getenv(variable); given && *given) return given;
  std::error_code unknown;
  const fs::path here = fs::read_symlink("/proc/self/exe", unknown).parent_path();
  for (const fs::path& place : {here / file, here / ".." / "lib" / "ingrain" / file})
    if (fs::exists(place, unknown)) return place;
  return {};
}

void* open_module(const fs::path& path, const char* symbol, const char* remedy) {
  // MPI libraries open their own plugins, which look for the library's symbols among the global ones.
  void* const module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!module) {
    const char* const why = ::dlerror();
    fail("{}: cannot be opened: {}; {}", path.string(), why ? why : "no reason given", remedy);
  }
  return ::dlsym(module, symbol);
}

}  // namespace ingrain::distributed
