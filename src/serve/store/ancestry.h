// A state and those that it follows on.
#pragma once

#include "serve/store/records.h"

namespace ingrain::serve {

/// Of `rows`, in any order: the state `id` and all that it follows on, the first one first. Empty if one is missing, or
/// if they follow on each other in a ring.
std::vector<StateRow> in_line(std::vector<StateRow> rows, const std::string& id);

}  // namespace ingrain::serve
