// Means as people read them.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>

namespace ingrain {

/// "1.2345"; "-" for a NaN, the mean of nothing.
inline std::string mean_text(double mean, int digits = 4) {
  return std::isfinite(mean) ? fmt::format("{:.{}f}", mean, digits) : "-";
}

}  // namespace ingrain
