// SHA-256 (FIPS 180-4), for API keys: they are kept as their hashes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace ingrain::serve::api {

using Sha256 = std::array<uint8_t, 32>;
Sha256 sha256(std::string_view bytes);
std::string hex(const Sha256& hash);

}  // namespace ingrain::serve::api
