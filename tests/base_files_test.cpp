#include "base/error.h"
#include "base/files.h"

#include <gtest/gtest.h>

#include <fstream>

namespace ingrain {
namespace {

namespace fs = std::filesystem;

fs::path scratch() {
  const fs::path dir = fs::path(::testing::TempDir()) / ("files-" + std::to_string(::getpid()));
  fs::create_directories(dir);
  return dir;
}

TEST(Files, an_atomic_file_appears_only_when_committed) {
  const fs::path path = scratch() / "out.bin";
  fs::remove(path);
  {
    AtomicFile file(path);
    file.write("half");
    EXPECT_FALSE(fs::exists(path));
  }
  EXPECT_FALSE(fs::exists(path));
  EXPECT_TRUE(fs::is_empty(path.parent_path())) << "an abandoned file must leave nothing behind";
  AtomicFile file(path);
  file.write("whole text");
  file.write_at(0, "WHOLE", 5);
  file.commit();
  EXPECT_EQ(read_file(path, 100), "WHOLE text");
}

TEST(Files, reading_is_bounded_and_names_the_file) {
  const fs::path path = scratch() / "big";
  write_file(path, std::string(100, 'x'));
  EXPECT_THROW(read_file(path, 99), Error);
  try {
    read_file(scratch() / "absent", 1);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("absent"), std::string::npos);
  }
}

TEST(Files, a_folder_is_no_file) { EXPECT_THROW(MappedFile{scratch()}, Error); }

}  // namespace
}  // namespace ingrain
