// Numbers of things in sentences.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ingrain {

/// "token" for one, "tokens" for any other number.
std::string plural(int64_t number, std::string_view thing);

/// "1 token", "1,234 tokens".
std::string counted(int64_t number, std::string_view thing);

}  // namespace ingrain
