#include "report/charts.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace ingrain::report {
namespace {

using nlohmann::json;

// Okabe and Ito's colours, which people with any kind of colour vision tell apart, and three more for long lists.
const json kColours = {"#0d8a62", "#D55E00", "#0072B2", "#CC79A7", "#E69F00",
                       "#56B4E9", "#8C564B", "#7F7F7F", "#9467BD", "#BCBD22"};

json encoding_of(const char* field, const Axis& axis, bool is_x) {
  json scale{{"zero", axis.zero}};
  if (axis.log) scale = {{"type", "log"}, {"base", is_x ? 2 : 10}};
  if (is_x) scale["nice"] = false;
  if (axis.log && !is_x) scale["nice"] = false;
  json look = {{"title", axis.title}, {"grid", !is_x}, {"tickCount", 8}};
  if (!axis.format.empty()) look["format"] = axis.format;
  if (axis.log && is_x)  // powers of two as people call them
    look["labelExpr"] =
        "datum.value >= 1048576 ? datum.value / 1048576 + 'M' : datum.value >= 1024 ? datum.value / 1024 + "
        "'K' : datum.value";
  return {{"field", field}, {"type", "quantitative"}, {"scale", scale}, {"axis", look}};
}

json in_order(const std::vector<std::string>& names) {
  json out = json::array();
  for (const std::string& name : names)
    if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(name);
  return out;
}

}  // namespace

json line_chart(const std::string& title, const Axis& x, const Axis& y, const std::vector<Line>& lines) {
  json values = json::array();
  std::vector<std::string> names;
  bool bands = false, dashes = false;
  for (const Line& line : lines) {
    names.push_back(line.name);
    dashes = dashes || line.dashed;
    for (const Line::Point& p : line.points) {
      if (!std::isfinite(p.x) || !std::isfinite(p.y)) continue;
      json one{{"x", p.x}, {"y", p.y}, {"line", line.name}, {"dashed", line.dashed}};
      if (std::isfinite(p.low) && std::isfinite(p.high)) one["low"] = p.low, one["high"] = p.high, bands = true;
      values.push_back(std::move(one));
    }
  }
  const json colour{
      {"field", "line"},
      {"type", "nominal"},
      {"sort", in_order(names)},
      {"scale", {{"domain", in_order(names)}, {"range", kColours}}},
      {"legend", {{"title", nullptr}, {"orient", "right"}, {"symbolOpacity", 1}, {"symbolType", "circle"}}}};
  const json tooltip = {{{"field", "line"}, {"title", "model"}},
                        {{"field", "x"}, {"title", x.title}, {"type", "quantitative"}, {"format", ",.6~g"}},
                        {{"field", "y"}, {"title", y.title}, {"type", "quantitative"}, {"format", ",.4~g"}}};
  json drawn{{"mark", {{"type", "line"}, {"point", {{"size", 28}}}, {"strokeWidth", 2.2}}},
             {"encoding", {{"y", encoding_of("y", y, false)}, {"color", colour}, {"tooltip", tooltip}}}};
  if (dashes)
    drawn["encoding"]["strokeDash"] = {{"field", "dashed"},
                                       {"type", "nominal"},
                                       {"scale", {{"domain", {false, true}}, {"range", {{1, 0}, {6, 4}}}}},
                                       {"legend", nullptr}};
  json layers = json::array();
  if (bands)
    layers.push_back(
        {{"mark", {{"type", "area"}, {"opacity", 0.13}}},
         {"transform", json::array({json{{"filter", "isValid(datum.low)"}}})},
         {"encoding", {{"y", encoding_of("low", y, false)}, {"y2", {{"field", "high"}}}, {"color", colour}}}});
  layers.push_back(std::move(drawn));
  return {{"title", title},
          {"height", 320},
          {"data", {{"values", values}}},
          {"encoding", {{"x", encoding_of("x", x, true)}}},
          {"layer", layers}};
}

json heat_map(const std::string& title, const std::string& rows, const std::string& columns,
              const std::vector<Cell>& cells) {
  json values = json::array();
  std::vector<std::string> row_names, column_names;
  for (const Cell& cell : cells) {
    row_names.push_back(cell.row), column_names.push_back(cell.column);
    values.push_back({{"row", cell.row}, {"column", cell.column}, {"value", cell.value}, {"text", cell.text}});
  }
  const json row_order = in_order(row_names), column_order = in_order(column_names);
  const json x{{"field", "column"},
               {"type", "ordinal"},
               {"sort", column_order},
               {"axis", {{"title", columns}, {"labelAngle", 0}}}};
  const json y{
      {"field", "row"}, {"type", "ordinal"}, {"sort", row_order}, {"axis", {{"title", rows}, {"labelLimit", 240}}}};
  return {
      {"title", title},
      {"height", 28 * row_order.size()},
      {"data", {{"values", values}}},
      {"encoding", {{"x", x}, {"y", y}}},
      {"layer",
       {{{"mark", "rect"},
         {"encoding",
          {{"color",
            {{"field", "value"},
             {"type", "quantitative"},
             {"scale", {{"domain", {0, 1}}, {"scheme", "greens"}}},
             {"legend", nullptr}}}}}},
        {{"mark", {{"type", "text"}, {"fontSize", 11}}},
         {"encoding",
          {{"text", {{"field", "text"}}},
           {"color", {{"condition", {{"test", "datum.value > 0.6"}, {"value", "white"}}}, {"value", "black"}}}}}}}}};
}

json bar_chart(const std::string& title, const Axis& value, const std::vector<Bar>& bars) {
  json values = json::array();
  std::vector<std::string> names;
  for (const Bar& bar : bars) {
    names.push_back(bar.name);
    values.push_back({{"name", bar.name}, {"value", bar.value}});
  }
  return {
      {"title", title},
      {"height", 26 * std::max<size_t>(1, bars.size())},
      {"data", {{"values", values}}},
      {"mark", {{"type", "bar"}, {"color", kColours[0]}}},
      {"encoding",
       {{"y",
         {{"field", "name"},
          {"type", "nominal"},
          {"sort", in_order(names)},
          {"axis", {{"title", nullptr}, {"labelLimit", 240}}}}},
        {"x", {{"field", "value"}, {"type", "quantitative"}, {"axis", {{"title", value.title}, {"tickCount", 8}}}}}}}};
}

}  // namespace ingrain::report
