#include "base/json.h"

#include "base/error.h"
#include "base/files.h"
#include "base/json_texts.h"
#include "base/text.h"

#include <set>
#include <string>
#include <vector>

namespace ingrain {
namespace {

constexpr int kMaxDepth = 64;

/// `remedy`: what ends an error about form, "; the file is damaged". `max_keys`: of an object; a member of an ordered
/// object is found by looking at all before it.
template <class Json>
Json parse_bounded(std::string_view text, const std::string& source, const char* remedy, size_t max_keys) {
  // The parser takes a zero byte for the end of the text and would not see what follows.
  require(text.find('\0') == text.npos, "{}: no valid JSON: a zero byte{}", source, remedy);
  std::vector<std::set<std::string>> open_objects;  // the keys seen so far in every object that is still open
  using Parsed = typename Json::parse_event_t;
  const auto watch = [&](int depth, Parsed event, Json& value) {
    if (depth > kMaxDepth) fail("{}: nested deeper than {} levels{}", source, kMaxDepth, remedy);
    if (event == Parsed::object_start) open_objects.emplace_back();
    if (event == Parsed::object_end) open_objects.pop_back();
    if (event != Parsed::key) return true;
    if (!open_objects.back().insert(value.template get<std::string>()).second)
      fail("{}: '{}' is given twice in one object; keep one of them", source,
           printable(value.template get<std::string>()));
    require(open_objects.back().size() <= max_keys, "{}: an object of more than {} members", source, max_keys);
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), watch);
  } catch (const typename Json::exception& e) {
    fail("{}: no valid JSON: {}", source, printable(e.what(), 300));
  }
}

}  // namespace

nlohmann::json parse_json(std::string_view text, const std::string& source) {
  return parse_bounded<nlohmann::json>(text, source, "; the file is damaged", std::string::npos);
}

nlohmann::ordered_json parse_ordered_json(std::string_view text, const std::string& source) {
  using Json = nlohmann::ordered_json;
  constexpr size_t kMostKeys = 1024;
  if (auto cut = cut_long_texts(text)) try {
      Json out = parse_bounded<Json>(cut->json, source, "", kMostKeys);
      put_back(out, *cut);
      return out;
    } catch (const Error&) {  // of the whole, that it names the right place
    }
  return parse_bounded<Json>(text, source, "", kMostKeys);
}

nlohmann::json read_json(const std::filesystem::path& path, uint64_t max_bytes) {
  return parse_json(read_file(path, max_bytes), path.string());
}

}  // namespace ingrain
