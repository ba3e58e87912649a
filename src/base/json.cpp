#include "base/json.h"

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"

#include <set>
#include <string>
#include <vector>

namespace ingrain {
namespace {

constexpr int kMaxDepth = 64;

}  // namespace

nlohmann::json parse_json(std::string_view text, const std::string& source) {
  using Json = nlohmann::json;
  // The parser takes a zero byte for the end of the text and would not see what follows.
  require(text.find('\0') == text.npos, "{}: no valid JSON: a zero byte; the file is damaged", source);
  std::vector<std::set<std::string>> open_objects;  // the keys seen so far in every object that is still open
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > kMaxDepth) fail("{}: nested deeper than {} levels; the file is damaged", source, kMaxDepth);
    if (event == Json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == Json::parse_event_t::object_end) open_objects.pop_back();
    if (event == Json::parse_event_t::key && !open_objects.back().insert(value.get<std::string>()).second) {
      fail("{}: '{}' is given twice in one object; keep one of them", source, printable(value.get<std::string>()));
    }
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), watch);
  } catch (const Json::exception& e) {
    fail("{}: no valid JSON: {}", source, printable(e.what(), 300));
  }
}

nlohmann::json read_json(const std::filesystem::path& path, uint64_t max_bytes) {
  return parse_json(read_file(path, max_bytes), path.string());
}

}  // namespace ingrain
