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
inline std::string implementation_name(const ::testing::TestParamInfo<RecordsImplementation>& info) {
  return info.param.name;
}

/// Rows of one implementation, none yet; the test is skipped where it cannot be had.
class RecordsFixture : public ::testing::TestWithParam<RecordsImplementation> {
 protected:
  void SetUp() override {
    std::string why = "no reason given";
    place_ = GetParam().make(&why);
    if (!place_) GTEST_SKIP() << why;
    records_ = place_->open();
  }
  void TearDown() override {
    records_.reset();
    place_.reset();
  }

  std::unique_ptr<RecordsPlace> place_;
  std::shared_ptr<Records> records_;
};

inline Record record(const std::string& id, const std::string& owner = "ann", const std::string& kind = "response") {
  Record out;
  out.owner = owner;
  out.kind = kind;
  out.id = id;
  out.body = "{\"id\":\"" + id + "\"}";
  out.created = 1'700'000'000;
  out.updated = 1'700'000'001;
  return out;
}

inline StateRow state(const std::string& id, const std::string& owner = "ann", const std::string& model = "m") {
  StateRow out;
  out.id = id;
  out.owner = owner;
  out.model = model;
  return out;
}

inline std::vector<std::string> ids(const std::vector<Record>& records) {
  std::vector<std::string> out;
  for (const Record& r : records) out.push_back(r.id);
  return out;
}
inline std::vector<std::string> ids(const std::vector<StateRow>& states) {
  std::vector<std::string> out;
  for (const StateRow& s : states) out.push_back(s.id);
  return out;
}

}  // namespace ingrain::serve
