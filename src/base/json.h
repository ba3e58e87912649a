// Reading JSON from files that nobody vouches for.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace ingrain {

/// Parses `text`. Error, naming `source`, if it is no JSON, nests deeper than 64, or an object gives a key twice.
nlohmann::json parse_json(std::string_view text, const std::string& source);

/// The same of a request's body, which is not a file: at most 1,024 keys in an object; members stay in their order.
nlohmann::ordered_json parse_ordered_json(std::string_view text, const std::string& source);

/// Parses numbers as they are written: an integer beyond 64 bits, for which the library has floating point alone, is
/// one of big_integer(). Nothing if it is no JSON or nests deeper than 64.
std::optional<nlohmann::ordered_json> parse_exactly(std::string_view text);
/// Decimal digits, perhaps after '-', as a value that JSON texts have no other use for (nlohmann's binary).
nlohmann::ordered_json big_integer(std::string_view digits);
/// Its digits; nothing for any other value.
std::optional<std::string> big_integer_digits(const nlohmann::ordered_json& json);
/// In one line, with big integers as their digits; bytes that are no UTF-8 are replaced.
std::string dump_exactly(const nlohmann::ordered_json& json);

/// parse_json on a whole file of at most `max_bytes`.
nlohmann::json read_json(const std::filesystem::path& path, uint64_t max_bytes);

}  // namespace ingrain
