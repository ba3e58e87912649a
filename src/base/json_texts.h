// Long texts in JSON: half a megabyte of a conversation is a string, which a parser of JSON takes byte by byte. Cut out
// beforehand and put back, it is checked and unescaped as one.
#pragma once

#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain {

inline constexpr size_t kLongText = 4096;  // bytes, as they stand between the quotes

struct CutTexts {
  std::string json;                // with a short mark in place of each
  std::vector<std::string> texts;  // what they say
};

/// Values that are strings of at least `least` bytes are cut out; keys are not. Nothing where there is none, where one
/// is no string of JSON's, or where a value reads like a mark: then all must be parsed as it is. What is left is JSON
/// just if the whole is.
std::optional<CutTexts> cut_long_texts(std::string_view json, size_t least = kLongText);

/// The marks of a value that was parsed from cut.json become the texts.
void put_back(nlohmann::ordered_json& value, CutTexts& cut);

/// JSON that this program has written itself. nlohmann's exception for what is none.
nlohmann::ordered_json parse_own_json(std::string_view text);

}  // namespace ingrain
