#include "serve/store/ids.h"

#include "base/error.h"

#include <sys/random.h>

#include <array>
#include <cstdint>

namespace ingrain::serve {

std::string random_id(std::string_view prefix) {
  constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
  std::array<uint8_t, 26> bytes;
  require(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()),
          "the system's random generator gave nothing");
  std::string out(prefix);
  for (const uint8_t byte : bytes) out += kAlphabet[byte % kAlphabet.size()];
  return out;
}

}  // namespace ingrain::serve
