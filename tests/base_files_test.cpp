#include "base/error.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/open_files.h"
#include "base/unfinished.h"
#include "scratch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
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

using Output = ScratchTest;

TEST_F(Output, a_link_is_written_through_and_stays_a_link) {
  fs::create_directories(dir_ / "there");
  put(dir_ / "there" / "target", "old");
  fs::create_symlink("there/target", dir_ / "link");
  fs::create_symlink(dir_ / "there" / "new", dir_ / "dangling");
  write_file(dir_ / "link", "new");
  write_file(dir_ / "dangling", "made");
  EXPECT_TRUE(fs::is_symlink(dir_ / "link") && fs::is_symlink(dir_ / "dangling"));
  EXPECT_EQ(read_file(dir_ / "there" / "target", 10), "new");
  EXPECT_EQ(read_file(dir_ / "there" / "new", 10), "made");
  fs::create_symlink("round", dir_ / "round");
  EXPECT_NE(error_of([&] { write_file(dir_ / "round", "x"); }), "");
}

TEST_F(Output, what_is_no_regular_file_is_refused_at_once_and_not_replaced) {
  fs::create_directories(dir_ / "folder");
  ASSERT_EQ(::mkfifo((dir_ / "fifo").c_str(), 0600), 0);
  fs::create_symlink("fifo", dir_ / "to_fifo");
  EXPECT_TRUE(contains(error_of([&] { AtomicFile file(dir_ / "folder"); }), "is a folder"));
  for (const char* name : {"fifo", "to_fifo"})
    EXPECT_TRUE(contains(error_of([&] { AtomicFile file(dir_ / name); }), "not a regular file")) << name;
  EXPECT_TRUE(fs::is_fifo(dir_ / "fifo") && fs::is_directory(dir_ / "folder"));
  EXPECT_TRUE(contains(error_of([&] { read_file(dir_ / "fifo", 1); }), "not a regular file")) << "and no waiting";
}

TEST_F(Output, nothing_is_waited_for_at_a_fifo) {
  const fs::path fifo = dir_ / "fifo", file = dir_ / "file";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_TRUE(contains(error_of([&] { require_regular_or_absent(fifo); }), "not a regular file"));
  EXPECT_TRUE(contains(error_of([&] { require_regular_or_absent(dir_); }), "is a folder"));
  EXPECT_NO_THROW(require_regular_or_absent(file));
  EXPECT_TRUE(contains(error_of([&] { open_to_append(fifo); }), "nobody reads"));
  EXPECT_TRUE(contains(error_of([&] { open_to_append(dir_); }), "cannot be written to"));
  const int reader = ::open(fifo.c_str(), O_RDONLY | O_NONBLOCK), writer = open_to_append(fifo);
  EXPECT_EQ(::fcntl(writer, F_GETFL) & (O_NONBLOCK | O_APPEND), O_APPEND);
  ::close(writer), ::close(reader);
  for (const char* line : {"one\n", "two\n"}) {
    const int fd = open_to_append(file);
    EXPECT_EQ(::write(fd, line, 4), 4);
    ::close(fd);
  }
  EXPECT_EQ(read_file(file, 100), "one\ntwo\n");
}

TEST_F(Output, an_unfinished_folder_replaces_no_fifo_and_then_nothing) {
  fs::create_directory(dir_ / "made");
  ASSERT_EQ(::mkfifo((dir_ / "made/weights").c_str(), 0600), 0);
  {
    UnfinishedFolder folder(dir_ / "made", /*may_hold_files=*/true);
    write_file(folder.path() / "config", "x");
    write_file(folder.path() / "weights", "x");
    EXPECT_TRUE(contains(error_of([&] { folder.commit(); }), "not a regular file"));
  }
  EXPECT_TRUE(fs::is_fifo(dir_ / "made/weights"));
  EXPECT_FALSE(fs::exists(dir_ / "made/config"));
}

TEST_F(Output, what_a_dead_writer_left_goes_with_the_next_writer_and_a_living_ones_stays) {
  const pid_t child = ::fork();
  if (child == 0) {
    AtomicFile file(dir_ / "dead.bin");
    file.write("half");
    const UnfinishedFolder folder(dir_ / "dead");
    put(folder.path() / "half", "x");
    ::_exit(0);  // no destructor runs, as after a kill
  }
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  const auto names = [&] { return std::distance(fs::directory_iterator(dir_), fs::directory_iterator()); };
  EXPECT_EQ(names(), 2);
  put(dir_ / "notes.tmp-2024-1", "a user's own");
  AtomicFile living(dir_ / "living");
  EXPECT_EQ(names(), 2) << "the user's and the living one";
  write_file(dir_ / "x", "x");
  living.write("whole");
  living.commit();
  EXPECT_EQ(read_file(dir_ / "living", 10), "whole");
  EXPECT_EQ(names(), 3);
}

TEST_F(Output, an_unfinished_folder_appears_whole_or_leaves_what_was_there) {
  { const UnfinishedFolder given_up(dir_ / "out"); }
  EXPECT_TRUE(fs::is_empty(dir_));
  UnfinishedFolder folder(dir_ / "out");
  put(folder.path() / "a", "1");
  folder.commit();
  EXPECT_EQ(read_file(dir_ / "out" / "a", 10), "1");
  EXPECT_TRUE(contains(error_of([&] { UnfinishedFolder again(dir_ / "out"); }), "exists already"));
  UnfinishedFolder into(dir_ / "out", /*may_hold_files=*/true);
  put(into.path() / "b", "2");
  into.commit();
  EXPECT_TRUE(fs::exists(dir_ / "out" / "a") && fs::exists(dir_ / "out" / "b"));
  EXPECT_TRUE(contains(error_of([&] { UnfinishedFolder file(dir_ / "out" / "a", true); }), "no folder"));
}

TEST(Interrupts, the_first_says_what_is_kept_a_second_soon_after_changes_nothing_and_an_ignored_one_stays_ignored) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    std::signal(SIGHUP, SIG_IGN);  // nohup
    watch_interrupts("all is kept");
    ::raise(SIGHUP);
    const bool ignored = !interrupted();
    ::raise(SIGTERM), ::raise(SIGTERM), ::raise(SIGINT);
    bool stopped = false;
    try {
      wait_readable(STDIN_FILENO, "input");
    } catch (const Stopped&) {
      stopped = true;
    }
    ::_exit(ignored && stopped && interrupt_signal() == SIGTERM ? 7 : 8);
  }
  ::close(ends[1]);
  std::string said(1000, '\0');
  said.resize(static_cast<size_t>(std::max<ssize_t>(::read(ends[0], said.data(), said.size()), 0)));
  ::close(ends[0]);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_EQ(said, "ingrain: stopping; all is kept\n");
}

}  // namespace
}  // namespace ingrain
