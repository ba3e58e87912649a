// The library that draws charts, Vega and Vega-Lite in one script; cmake/embed_text.cmake writes it.
#pragma once

#include <string_view>

namespace ingrain::report {

std::string_view chart_library();

}  // namespace ingrain::report
