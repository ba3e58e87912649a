// What time it is, and how long something took.
#pragma once

#include <chrono>
#include <cstdint>

namespace ingrain {

/// Since 1970, with fractions.
inline double unix_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}
inline int64_t unix_seconds() { return static_cast<int64_t>(unix_time()); }

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace ingrain
