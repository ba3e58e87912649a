// Charts as Vega-Lite specifications.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace ingrain::report {

struct Axis {
  std::string title;
  bool log = false;
  bool zero = false;        // whether the axis begins at zero
  std::string format = "";  // of its numbers, in d3's words: "~s" is 16k
};

/// A line through these points; `low` and `high`, where they are finite, are a band around it.
struct Line {
  struct Point {
    double x, y, low, high;
  };
  std::string name;
  std::vector<Point> points;
  bool dashed = false;
};

/// Lines in the order of the legend, each with a colour of its own.
nlohmann::json line_chart(const std::string& title, const Axis& x, const Axis& y, const std::vector<Line>& lines);

struct Cell {
  std::string row, column;
  double value;      // 0 to 1
  std::string text;  // what is written in it
};
/// Cells in the order in which rows and columns first occur.
nlohmann::json heat_map(const std::string& title, const std::string& rows, const std::string& columns,
                        const std::vector<Cell>& cells);

struct Bar {
  std::string name;
  double value;
};
nlohmann::json bar_chart(const std::string& title, const Axis& value, const std::vector<Bar>& bars);

}  // namespace ingrain::report
