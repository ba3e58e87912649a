// "minimum" and its kin, exactly.
#pragma once

#include "serve/grammar/json_number.h"

#include <nlohmann/json.hpp>

#include <string>

namespace ingrain::serve {

/// The numbers that `schema` allows by minimum, maximum, exclusiveMinimum and exclusiveMaximum. All that are written
/// lie between the bounds as decimals and as doubles. UsageError, with the path after `path`, for bounds that are no
/// numbers or leave nothing.
NumberForm number_form(const nlohmann::ordered_json& schema, bool integer, const std::string& path);

}  // namespace ingrain::serve
