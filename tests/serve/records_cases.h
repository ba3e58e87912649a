// Every implementation of Records under the same tests: a row of implementations(), and it is in.
#pragma once

#include "serve/store/records.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ingrain::serve {

/// Where a test's rows lie; open() may be called again, for another connection to the same rows.
class RecordsPlace {
 public:
  virtual ~RecordsPlace() = default;
  virtual std::shared_ptr<Records> open() = 0;
};

struct RecordsImplementation {
  std::string name;
  /// nullptr and the reason in `why`, if it cannot be had on this machine.
  std::function<std::unique_ptr<RecordsPlace>(std::string* why)> make;
  /// Whether rows outlive the connection.
  bool lasts = true;
};
std::vector<RecordsImplementation> implementations();

}  // namespace ingrain::serve
