#include "base/json.h"

#include "base/error.h"
#include "base/files.h"
#include "base/json_texts.h"
#include "base/text.h"

#include <algorithm>
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

constexpr uint64_t kBigInteger = 1;  // nlohmann's subtype

/// Builds what a text says, from the parser's events.
class ExactBuilder : public nlohmann::json_sax<nlohmann::ordered_json> {
 public:
  using Json = nlohmann::ordered_json;

  Json root;

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t& text) override {
    return add(text.find_first_not_of("0123456789", text.starts_with('-')) == text.npos ? big_integer(text)
                                                                                        : Json(value));
  }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return open(Json::object()); }
  bool start_array(size_t) override { return open(Json::array()); }
  bool key(string_t& name) override {
    key_ = name;
    return true;
  }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  Json* put(Json value) {
    if (open_.empty()) return &(root = std::move(value));
    Json& in = *open_.back();
    if (in.is_object()) return &(in[key_] = std::move(value));
    in.push_back(std::move(value));
    return &in.back();
  }
  bool add(Json value) {
    put(std::move(value));
    return true;
  }
  bool open(Json value) {
    open_.push_back(put(std::move(value)));
    return open_.size() <= kMaxDepth;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  std::vector<Json*> open_;  // nothing is added to what holds an open one, so that these stay where they are
  std::string key_;
};

bool has_big_integer(const nlohmann::ordered_json& json) {
  return json.is_binary() || (json.is_structured() && std::any_of(json.begin(), json.end(), has_big_integer));
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

std::optional<nlohmann::ordered_json> parse_exactly(std::string_view text) {
  ExactBuilder builder;
  const bool whole =
      text.find('\0') == text.npos && nlohmann::ordered_json::sax_parse(text.begin(), text.end(), &builder);
  return whole ? std::optional(std::move(builder.root)) : std::nullopt;
}

nlohmann::ordered_json big_integer(std::string_view digits) {
  return nlohmann::ordered_json::binary(std::vector<uint8_t>(digits.begin(), digits.end()), kBigInteger);
}

std::optional<std::string> big_integer_digits(const nlohmann::ordered_json& json) {
  if (!json.is_binary() || json.get_binary().subtype() != kBigInteger) return std::nullopt;
  return std::string(json.get_binary().begin(), json.get_binary().end());
}

std::string dump_exactly(const nlohmann::ordered_json& json) {
  if (!has_big_integer(json)) return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  if (const auto digits = big_integer_digits(json)) return *digits;
  std::string out;
  for (const auto& [key, value] : json.items()) {
    if (!out.empty()) out += ',';
    if (json.is_object()) out += dump_exactly(key) + ":";
    out += dump_exactly(value);
  }
  return json.is_object() ? "{" + out + "}" : "[" + out + "]";
}

nlohmann::json read_json(const std::filesystem::path& path, uint64_t max_bytes) {
  return parse_json(read_file(path, max_bytes), path.string());
}

}  // namespace ingrain
