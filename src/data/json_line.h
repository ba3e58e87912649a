// One field's text out of a line of JSON, whatever the other fields hold.
#pragma once

#include <string>
#include <string_view>

namespace ingrain::data {

/// What is wrong with an array of documents, and the remedy.
constexpr const char* kArray =
    "no JSON object but an array; JSON Lines hold an object on each: jq -c '.[]' makes them of it";

/// The text in `field` of the object in `line`. What stands beside it is passed over, not judged: NaN, Infinity,
/// numbers that no double holds, keys given twice, halves of surrogate pairs, as Python's json writes and reads them.
/// Error, naming `where`, if the line is no JSON object, the field is missing (the fields with text are named), twice
/// there, no text or not valid Unicode. Bounded: nesting of 64 at most.
std::string field_of_line(std::string_view line, const std::string& field, const std::string& where);

/// Whether a JSON array begins whose first element is an object with text in `field`: documents, but not a line each.
/// `head` may end anywhere.
bool begins_array_of_documents(std::string_view head, const std::string& field);

/// Whether the line is a JSON object with text in `field`, so far as field_of_line() would read it.
bool has_text_field(std::string_view line, const std::string& field);

}  // namespace ingrain::data
