#include "base/settings.h"
#include "scratch.h"

namespace ingrain {
namespace {

class Settings : public ScratchTest {
 protected:
  SettingMap read(const std::string& text, const std::vector<std::string>& overrides = {}) {
    return read_settings(put(dir_ / "run.toml", text), overrides);
  }
};

TEST_F(Settings, values_keep_their_types_and_lines) {
  const auto s = read("[a]\nn = 3\nx = 1e-3\nyes = true\nword = \"w\"\nlist = [1, 2]\n");
  EXPECT_EQ(s.at("a.n").value, 3);
  EXPECT_EQ(s.at("a.x").value, 1e-3);
  EXPECT_EQ(s.at("a.yes").value, true);
  EXPECT_EQ(s.at("a.word").value, "w");
  EXPECT_EQ(s.at("a.list").value, nlohmann::json({1, 2}));
  EXPECT_TRUE(s.at("a.x").where.ends_with("run.toml:3"));
}

TEST_F(Settings, overrides_win_and_bare_words_are_strings) {
  const auto s = read("[a]\nn = 3\n", {"a.n=4", "a.path=some/where.bin", "b.list=[\"x\"]"});
  EXPECT_EQ(s.at("a.n").value, 4);
  EXPECT_EQ(s.at("a.path").value, "some/where.bin");
  EXPECT_EQ(s.at("b.list").value, nlohmann::json({"x"}));
}

TEST_F(Settings, an_override_cannot_smuggle_in_a_second_setting) {
  const auto s = read("", {"a.n=1\nm = 2"});
  EXPECT_EQ(s.size(), 1u);
  EXPECT_EQ(s.at("a.n").value, "1\nm = 2");
}

TEST_F(Settings, paths_are_relative_to_where_they_were_written) {
  SettingReader in(read("[a]\nfile = \"x.bin\"\n", {"a.other=y.bin"}), "run.toml");
  std::filesystem::path file, other;
  in.read("a.file", file);
  in.read("a.other", other);
  EXPECT_EQ(file, dir_ / "x.bin");
  EXPECT_EQ(other, std::filesystem::current_path() / "y.bin");
}

TEST_F(Settings, errors_name_file_line_and_remedy) {
  EXPECT_TRUE(contains(error_of([&] { read("[a]\nn = \n"); }), "run.toml:2"));
  EXPECT_TRUE(contains(error_of([&] { read("n = 1\n"); }), "outside every section"));
  EXPECT_TRUE(contains(error_of([&] { read("[a]\nday = 2020-01-01\n"); }), "run.toml:2"));
  EXPECT_TRUE(contains(error_of([&] { read_settings(dir_ / "absent.toml", {}); }), "absent.toml"));
  SettingReader in(read("[a]\nn = \"many\"\nm = 7\nsteps = 1\n"), "run.toml");
  int64_t n = 0;
  EXPECT_TRUE(contains(error_of([&] { in.read("a.n", n, 0); }), "run.toml:2: a.n is a string; write a whole number"));
  EXPECT_TRUE(contains(error_of([&] { in.read("a.m", n, 0, 5); }), "between 0 and 5"));
  EXPECT_TRUE(contains(error_of([&] { read("[a]\nn = 18446744073709551616\n"); }),
                       "run.toml:2: this is not TOML: Error while parsing decimal integer"));
  EXPECT_TRUE(contains(error_of([&] { read("[a]\nn = 18446744073709551616\n"); }), "to 9223372036854775807"));
  SettingReader odd(read("[a]\nm = 7.5\n", {"a.n=18446744073709551616", "a.x=many"}), "run.toml");
  double x = 0;
  EXPECT_TRUE(
      contains(error_of([&] { odd.read("a.n", n, 1, 9); }), "a.n is 18446744073709551616; it must be between 1 and 9"));
  EXPECT_TRUE(
      contains(error_of([&] { odd.read("a.m", n, 1, 9); }), "a.m is 7.5; write a whole number between 1 and 9"));
  EXPECT_TRUE(contains(error_of([&] { odd.read("a.x", x, 0, 2); }), "a.x is a string; write a number between 0 and 2"));
  in.read("a.step", n, 0);
  EXPECT_TRUE(
      contains(error_of([&] { in.finish(); }), "run.toml:4: there is no setting 'a.steps' (did you mean 'a.step'"));
  EXPECT_TRUE(contains(error_of([&] { in.need("b.size", "12"); }), "below [b] write: size = 12"));
}

TEST_F(Settings, malformed_overrides_are_usage_errors) {
  for (const char* word : {"steps=1", "a.n", "=1", ".n=1", "a.=1", ""})
    EXPECT_THROW(read("", {word}), UsageError) << word;
}

TEST_F(Settings, deep_nesting_is_an_error_not_a_crash) {
  EXPECT_NE(error_of([&] { read("[a]\nx = " + std::string(100'000, '[')); }), "");
  EXPECT_EQ(read("", {"a.x=" + std::string(100'000, '[')}).at("a.x").value.get<std::string>().size(), 100'000u);
}

}  // namespace
}  // namespace ingrain
