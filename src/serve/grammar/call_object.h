// The JSON object by which a model calls a tool.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain::serve {

struct CallObject {
  std::string name, arguments;  // arguments: an object's text, as it was written
};
/// Nothing if `text` is no JSON object with a name, and under one of `arguments_names` an object (or a string that
/// holds one). `strict`: nor if it has other members than a call has.
std::optional<CallObject> read_call_object(std::string_view text, const std::vector<std::string_view>& arguments_names,
                                           bool strict);

}  // namespace ingrain::serve
