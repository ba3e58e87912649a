// Reading JSON from files that nobody vouches for.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace ingrain {

/// Parses `text`. Error, naming `source`, if it is no JSON, nests deeper than 64, or an object gives a key twice.
nlohmann::json parse_json(std::string_view text, const std::string& source);

/// The same of a request's body, which is not a file: at most 1,024 keys in an object; members stay in their order.
nlohmann::ordered_json parse_ordered_json(std::string_view text, const std::string& source);

/// parse_json on a whole file of at most `max_bytes`.
nlohmann::json read_json(const std::filesystem::path& path, uint64_t max_bytes);

}  // namespace ingrain
