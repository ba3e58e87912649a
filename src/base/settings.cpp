#include "base/settings.h"

#include "base/error.h"
#include "base/file_kind.h"
#include "base/option_error.h"
#include "base/files.h"
#include "base/text.h"
#include "base/whole_number.h"

#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>

namespace ingrain {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr uint64_t kMaxFileBytes = 1 << 20;

/// toml++ bounds the nesting itself (TOML_MAX_NESTED_VALUES). `where` is of the whole setting.
json to_json(const toml::node& node, const std::string& where) {
  if (const auto* value = node.as_string()) return value->get();
  if (const auto* value = node.as_integer()) return value->get();
  if (const auto* value = node.as_floating_point()) return value->get();
  if (const auto* value = node.as_boolean()) return value->get();
  if (const auto* array = node.as_array()) {
    json out = json::array();
    for (const toml::node& item : *array) out.push_back(to_json(item, where));
    return out;
  }
  if (const auto* table = node.as_table()) {
    json out = json::object();
    for (const auto& [key, item] : *table) out[std::string(key.str())] = to_json(item, where);
    return out;
  }
  fail("{}: dates and times are of no use here; write a number or a string", where);
}

toml::table parse(const std::string& text, const std::string& name) {
  try {
    return toml::parse(text, name);
  } catch (const toml::parse_error& e) {
    const std::string why = printable(e.description(), 200);
    const bool too_large = why.find("not representable in 64 bits") != why.npos;
    fail("{}:{}: this is not TOML: {}{}", name, e.source().begin.line, why,
         too_large ? fmt::format("; whole numbers are from {} to {}", INT64_MIN, INT64_MAX) : "");
  }
}

void add_override(SettingMap& settings, const std::string& word) {
  const size_t equals = word.find('='), dot = word.find('.');
  if (equals == word.npos || dot == word.npos || dot > equals || dot == 0 || dot + 1 == equals)
    fail_option("overrides", "hold '{}', which is not of the form section.key=value, such as train.steps=100",
                printable(word));
  const std::string key = word.substr(0, equals), text = word.substr(equals + 1);
  json value = text;
  try {
    const toml::table table = toml::parse("v = " + text);
    if (table.size() == 1) value = to_json(*table.get("v"), "override " + printable(word));
  } catch (const toml::parse_error&) {
    // A bare word or a path: the string that it is.
  }
  settings[key] = {value, "override", fs::current_path()};
}

const char* a_kind(const json& value) {
  if (value.is_string()) return "a string";
  if (value.is_boolean()) return "true or false";
  if (value.is_array()) return "a list";
  if (value.is_object()) return "a table";
  return value.is_number_integer() ? "a whole number" : "a number";
}

}  // namespace

SettingMap read_settings(const fs::path& path, const std::vector<std::string>& overrides) {
  SettingMap settings;
  require_no_other_kind(path, "settings", "settings are a text in TOML");
  const toml::table file = parse(read_file(path, kMaxFileBytes), path.string());
  const fs::path base = fs::absolute(path).parent_path();
  for (const auto& [section, node] : file) {
    const std::string name = printable(section.str());
    const auto* table = node.as_table();
    require(table != nullptr, "{}:{}: '{}' stands outside every section; put it below a line like [train]",
            path.string(), node.source().begin.line, name);
    for (const auto& [key, value] : *table) {
      const std::string where = fmt::format("{}:{}", path.string(), value.source().begin.line);
      settings[std::string(section.str()) + "." + std::string(key.str())] = {to_json(value, where), where, base};
    }
  }
  for (const std::string& word : overrides) add_override(settings, word);
  return settings;
}

const Setting* SettingReader::take(const std::string& name) {
  known_.push_back(name);
  const auto found = settings_.find(name);
  return found == settings_.end() ? nullptr : &found->second;
}

std::string SettingReader::describe(const std::string& name) const {
  const auto found = settings_.find(name);
  return found == settings_.end() ? fmt::format("{}: {}", source_, name)
                                  : fmt::format("{}: {}", found->second.where, printable(name));
}

bool SettingReader::read(const std::string& name, bool& out) {
  const Setting* s = take(name);
  if (!s) return false;
  require(s->value.is_boolean(), "{} is {}; write true or false", describe(name), a_kind(s->value));
  out = s->value.get<bool>();
  return true;
}

bool SettingReader::read_or_auto(const std::string& name, std::optional<bool>& out) {
  const Setting* s = take(name);
  if (!s) return false;
  const bool automatic = s->value == "auto";
  require(automatic || s->value.is_boolean(), "{} is {}; write true, false or \"auto\"", describe(name),
          a_kind(s->value));
  out = automatic ? std::nullopt : std::optional(s->value.get<bool>());
  return true;
}

bool SettingReader::read(const std::string& name, std::string& out) {
  const Setting* s = take(name);
  if (!s) return false;
  require(s->value.is_string(), "{} is {}; write a string in quotes", describe(name), a_kind(s->value));
  out = s->value.get<std::string>();
  return true;
}

bool SettingReader::read(const std::string& name, fs::path& out) {
  std::string text;
  if (!read(name, text)) return false;
  require(!text.empty() && text.find('\0') == text.npos, "{} is empty; give the path of a file or folder",
          describe(name));
  out = (settings_.at(name).base / text).lexically_normal();
  return true;
}

bool SettingReader::read(const std::string& name, std::vector<std::string>& out) {
  const Setting* s = take(name);
  if (!s) return false;
  out.clear();
  for (const json& item : s->value.is_array() ? s->value : json::array({s->value})) {
    require(item.is_string(), "{} holds {}; write a list of strings in quotes", describe(name), a_kind(item));
    out.push_back(item.get<std::string>());
  }
  return true;
}

bool SettingReader::read(const std::string& name, std::vector<fs::path>& out) {
  std::vector<std::string> texts;
  if (!read(name, texts)) return false;
  out.clear();
  for (const std::string& text : texts) out.push_back((settings_.at(name).base / text).lexically_normal());
  return true;
}

bool SettingReader::read(const std::string& name, int64_t& out, int64_t least, int64_t greatest) {
  const Setting* s = take(name);
  if (!s) return false;
  // What TOML's integers cannot hold is, in an override, a word.
  const auto* const word = s->value.get_ptr<const std::string*>();
  require(!word || !is_whole_number(*word), "{} is {}; it must be between {} and {}", describe(name),
          word ? printable(*word) : "", least, greatest);
  require(s->value.is_number_integer(), "{} is {}; write a whole number between {} and {}", describe(name),
          s->value.is_number() ? s->value.dump() : a_kind(s->value), least, greatest);
  out = s->value.get<int64_t>();
  require(out >= least && out <= greatest, "{} is {}; it must be between {} and {}", describe(name), out, least,
          greatest);
  return true;
}

bool SettingReader::read(const std::string& name, double& out, double least, double greatest) {
  const Setting* s = take(name);
  if (!s) return false;
  require(s->value.is_number(), "{} is {}; write a number between {} and {}", describe(name), a_kind(s->value), least,
          greatest);
  out = s->value.get<double>();
  require(out >= least && out <= greatest, "{} is {}; it must be between {} and {}", describe(name), out, least,
          greatest);
  return true;
}

bool SettingReader::read_word(const std::string& name, size_t& out, const std::vector<std::string>& words) {
  std::string word;
  if (!read(name, word)) return false;
  const auto found = std::find(words.begin(), words.end(), word);
  require(found != words.end(), "{} is '{}'; choose one of: {}", describe(name), printable(word),
          fmt::join(words, ", "));
  out = static_cast<size_t>(found - words.begin());
  return true;
}

void SettingReader::need(const std::string& name, std::string_view example) const {
  if (has(name)) return;
  const size_t dot = name.find('.');
  fail("{}: {} is missing; below [{}] write: {} = {}", source_, name, name.substr(0, dot), name.substr(dot + 1),
       example);
}

json SettingReader::section(const std::string& name) {
  json out = json::object();
  for (const auto& [key, setting] : settings_) {
    if (!key.starts_with(name + ".")) continue;
    out[key.substr(name.size() + 1)] = setting.value;
    known_.push_back(key);
  }
  return out;
}

void SettingReader::finish() const {
  for (const auto& [name, setting] : settings_) {
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    fail("{}: there is no setting '{}'{}", setting.where, printable(name), did_you_mean(name, known_));
  }
}

}  // namespace ingrain
