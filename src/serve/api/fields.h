// An object of a request, field by field: types and ranges are checked where a field is read, and a field that nobody
// read is refused by name.
#pragma once

#include "base/json_fields.h"
#include "serve/api/api_error.h"

namespace ingrain::serve::api {

/// The body of a request as an object. 400 if it is no JSON, nested deeper than 64 levels, or gives a key twice.
Json parse_body(std::string_view body);

/// Refers to the object, which must outlive it. null is as good as absent. Every error is an ApiError with status 400
/// that names the field by its path ("messages[2].content"), which is its param, too.
class Fields : public BasicField<Json> {
 public:
  explicit Fields(const Json& object, std::string path = {});

  /// The member, or nullptr; it counts as read.
  const Json* take(std::string_view name);
  const Json& need(std::string_view name) { return at(name).json(); }
  std::string need_string(std::string_view name) { return at(name).string(); }
  /// One of these words, or nothing.
  std::optional<std::string> word(std::string_view name, std::initializer_list<std::string_view> words);
  /// An array of at most so many, or nullptr.
  const Json* array(std::string_view name, size_t most);
  const Json* object(std::string_view name);

  /// Accepted, and of no consequence here (docs/serving.md lists them).
  void accept(std::initializer_list<const char*> names);
  /// Accepted with this value, refused by name with any other.
  void accept_only(std::string_view name, std::initializer_list<Json> values, const std::string& why = {});
  /// Refuses, by name, what was not read.
  void refuse_unread() const;
};

/// "messages[3]".
std::string element(std::string_view list, size_t index);

}  // namespace ingrain::serve::api
