// A folder for one test, removed afterwards.
#pragma once

#include "base/error.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace ingrain {

class ScratchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    dir_ = std::filesystem::path(::testing::TempDir()) / fmt::format("ingrain-{}-{}", ::getpid(), info->name());
    std::filesystem::create_directories(dir_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::filesystem::path dir_;
};

/// Writes without flushing to disk: for tests that make thousands of files.
inline std::filesystem::path put(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return path;
}

/// The text of the Error that `action` throws; "" if it throws none.
template <class Action>
std::string error_of(Action action) {
  try {
    action();
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

inline bool contains(const std::string& text, std::string_view part) { return text.find(part) != text.npos; }

}  // namespace ingrain
