// Names that nobody guesses.
#pragma once

#include <string>
#include <string_view>

namespace ingrain::serve {

/// `prefix`, then 26 characters of base32 (130 bits from the system's generator): "resp_7k2m...". Thread-safe.
std::string random_id(std::string_view prefix);

}  // namespace ingrain::serve
