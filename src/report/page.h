// Pages that need nothing else: text, tables and charts in one HTML file. Charts are Vega-Lite specifications, drawn by
// the library that the page carries along (src/report/vega).
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace ingrain::report {

/// `text` as HTML shows it.
std::string escaped(std::string_view text);

/// Puts a page together from top to bottom. Every text is escaped.
class Page {
 public:
  explicit Page(std::string_view title);

  void heading(std::string_view text);
  void paragraph(std::string_view text);
  void note(std::string_view text);  // a paragraph in the second colour
  /// The first row is the head, the first column the rows' names. `best`: cells in bold, {row, column}.
  void table(const std::vector<std::vector<std::string>>& rows,
             const std::vector<std::pair<size_t, size_t>>& best = {});
  /// A Vega-Lite specification with its data; width and colours are the page's.
  void chart(const nlohmann::json& specification);
  /// A text, and what goes on from it in bold.
  void quotation(std::string_view text, std::string_view continuation);

  std::string html() const;

 private:
  std::string title_, body_;
  bool charts_ = false;
};

}  // namespace ingrain::report
