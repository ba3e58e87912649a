#include "report/page.h"

#include "report/library.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace ingrain::report {
namespace {

constexpr const char* kStyle = R"(
:root { --paper:#fff; --ink:#1c1c1c; --soft:#666; --grid:#e4e4e4; --strong:#0b6e4f; color-scheme:light dark }
@media (prefers-color-scheme: dark) { :root { --paper:#161616; --ink:#e8e8e8; --soft:#a0a0a0; --grid:#333; --strong:#4cc38a } }
body { background:var(--paper); color:var(--ink); font:16px/1.5 system-ui,sans-serif; max-width:960px; margin:2.5rem auto; padding:0 1rem }
h1 { font-size:1.5rem; margin-bottom:.25rem } h2 { font-size:1.1rem; margin-top:2.2rem } .soft { color:var(--soft) }
figure { margin:1rem 0; width:100% } .scroll { overflow-x:auto }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums }
td,th { padding:.3rem .6rem; border-bottom:1px solid var(--grid); text-align:right }
td:first-child,th:first-child { text-align:left } th { font-weight:600 }
blockquote { white-space:pre-wrap; margin:0; font-family:Georgia,serif } blockquote b { color:var(--strong) }
)";

/// What a chart looks like follows the page's colours; a chart that cannot be drawn says so in its place.
constexpr const char* kDraw = R"(
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const axis = { labelColor: colour("--soft"), titleColor: colour("--soft"), gridColor: colour("--grid"), domainColor: colour("--grid"),
               tickColor: colour("--grid"), labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" };
const config = { background: null, view: { stroke: null }, axis, legend: { labelColor: colour("--ink"), titleColor: colour("--soft"),
                 labelFontSize: 12, labelLimit: 240, symbolStrokeWidth: 3 }, title: { color: colour("--ink"), anchor: "start", fontSize: 14 },
                 font: "system-ui, sans-serif", text: { color: colour("--ink") } };
for (const place of document.querySelectorAll("figure")) {
  const specification = JSON.parse(place.querySelector("script").textContent);
  try {
    const chart = vegaLite.compile({ width: "container", ...specification }, { config }).spec;
    new vega.View(vega.parse(chart), { renderer: "svg", container: place, hover: true }).runAsync();
  } catch (error) {
    place.append(`This chart cannot be drawn: ${error}`);
  }
}
)";

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

Page::Page(std::string_view title) : title_(escaped(title)) { body_ = "<h1>" + title_ + "</h1>\n"; }

void Page::heading(std::string_view text) { body_ += "<h2>" + escaped(text) + "</h2>\n"; }
void Page::paragraph(std::string_view text) { body_ += "<p>" + escaped(text) + "</p>\n"; }
void Page::note(std::string_view text) { body_ += "<p class=\"soft\">" + escaped(text) + "</p>\n"; }

void Page::table(const std::vector<std::vector<std::string>>& rows,
                 const std::vector<std::pair<size_t, size_t>>& best) {
  body_ += "<div class=\"scroll\"><table>\n";
  for (size_t r = 0; r < rows.size(); ++r) {
    body_ += "<tr>";
    for (size_t c = 0; c < rows[r].size(); ++c) {
      const bool bold = std::find(best.begin(), best.end(), std::pair(r, c)) != best.end();
      const char* tag = r == 0 ? "th" : "td";
      body_ += fmt::format("<{0}>{2}{1}{3}</{0}>", tag, escaped(rows[r][c]), bold ? "<b>" : "", bold ? "</b>" : "");
    }
    body_ += "</tr>\n";
  }
  body_ += "</table></div>\n";
}

void Page::chart(const nlohmann::json& specification) {
  charts_ = true;
  std::string text = specification.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  for (size_t at = 0; (at = text.find('<', at)) != text.npos; at += 6) text.replace(at, 1, "\\u003c");
  body_ += "<figure><script type=\"application/json\">" + text + "</script></figure>\n";
}

void Page::quotation(std::string_view text, std::string_view continuation) {
  body_ += "<blockquote><span class=\"soft\">" + escaped(text) + "</span><b>" + escaped(continuation) +
           "</b></blockquote>\n";
}

std::string Page::html() const {
  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\">\n<title>" +
      title_ + "</title><style>" + kStyle + "</style></head><body>\n" + body_;
  if (charts_)
    out.append("<script>").append(chart_library()).append("</script>\n<script>").append(kDraw) += "</script>\n";
  return out + "</body></html>\n";
}

}  // namespace ingrain::report
