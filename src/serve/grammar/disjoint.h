// Whether at most one of some schemas can be satisfied, so that oneOf means anyOf.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace ingrain::serve {

/// UsageError, at `path`, unless it is plain that no value satisfies two of `branches`: their types differ, or the
/// values that enum and const list, or those of a property that both require (a tag).
void check_disjoint(const nlohmann::ordered_json& root, const nlohmann::ordered_json& branches,
                    const std::string& where, const std::string& path);

}  // namespace ingrain::serve
