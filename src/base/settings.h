// Settings of a run: a TOML file of [section]s, and `section.key=value` words that override it.
#pragma once

#include <nlohmann/json.hpp>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain {

/// One value, and where it was given: "run.toml:12" or "override", for errors.
struct Setting {
  nlohmann::json value;
  std::string where;
  std::filesystem::path base;  // what a relative path in the value is relative to
};

/// By full name, "train.steps".
using SettingMap = std::map<std::string, Setting>;

/// The file's settings with `overrides` ("train.steps=100") on top. An override's value is read as TOML; what is
/// no TOML (a path, a word) is taken as a string. Paths in the file are relative to its folder, those in overrides
/// to the working folder. Error naming file, line and remedy; OptionError for a malformed override.
SettingMap read_settings(const std::filesystem::path& path, const std::vector<std::string>& overrides);

/// Takes settings out by name with their types checked, and complains about those that nobody took.
class SettingReader {
 public:
  /// `source` names the file, for errors about what is missing.
  SettingReader(SettingMap settings, std::string source) : settings_(std::move(settings)), source_(std::move(source)) {}

  bool has(const std::string& name) const { return settings_.contains(name); }

  /// Each leaves `out` as it is if there is no such setting, and returns whether there was one.
  bool read(const std::string& name, bool& out);
  bool read_or_auto(const std::string& name, std::optional<bool>& out);  // "auto" is none
  bool read(const std::string& name, std::string& out);
  bool read(const std::string& name, std::filesystem::path& out);
  bool read(const std::string& name, std::vector<std::string>& out);  // a single string is a list of one
  bool read(const std::string& name, std::vector<std::filesystem::path>& out);
  bool read(const std::string& name, int64_t& out, int64_t least, int64_t greatest = int64_t{1} << 50);
  bool read(const std::string& name, double& out, double least, double greatest);
  /// One of `words`; its index.
  bool read_word(const std::string& name, size_t& out, const std::vector<std::string>& words);

  /// Error, with an example of the line to add, unless the setting is there.
  void need(const std::string& name, std::string_view example) const;
  /// All settings "section.key" as {"key": value}: for what another parser knows. They count as taken.
  nlohmann::json section(const std::string& name);
  /// "run.toml:12: train.steps": the beginning of an error about a setting's value.
  std::string describe(const std::string& name) const;
  /// Error, with a suggestion, if a setting was never asked for. Call last.
  void finish() const;

 private:
  const Setting* take(const std::string& name);

  SettingMap settings_;
  std::string source_;
  std::vector<std::string> known_;
};

}  // namespace ingrain
