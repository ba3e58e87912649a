#include "base/error.h"
#include "serve/store/records.h"

namespace ingrain::serve {

std::shared_ptr<Records> open_postgresql(const std::string&) {
  fail("--store postgresql: this build keeps its store in SQLite only; name a file");
}

}  // namespace ingrain::serve
