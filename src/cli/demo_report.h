// The demo's figures as a page: one HTML file that needs nothing else.
#pragma once

#include "ingrain/score.h"

#include <string>
#include <utility>
#include <vector>

namespace ingrain::cli {

/// Time for one piece of the reading.
struct Pace {
  int64_t begin, end;  // tokens
  double seconds;
  double tokens_per_second() const { return static_cast<double>(end - begin) / seconds; }
  double ms_per_token() const { return 1000 * seconds / static_cast<double>(end - begin); }
};

struct DemoFigures {
  std::string model, document, compute_type;
  int64_t tokens = 0, chunk = 0;
  Score on, off;                               // with and without learning
  std::vector<PositionBin> on_bins, off_bins;  // of equal length, the same for both
  Pace early, late;                            // with learning
  uint64_t early_bytes = 0, late_bytes = 0;    // of the memory, then
  uint64_t file_bytes = 0;
  std::string before, continuation;  // the book's last lines that were read, and the model's text
};

/// What tells the cost of a token, each with the memory's bytes then: the early piece and the late one; one, if all was
/// read in one piece; none of fewer than 256 tokens, whose time is that of beginning.
std::vector<std::pair<Pace, uint64_t>> costs(const DemoFigures& figures);

/// Bars of the gain by position for a terminal, a line for each of `bins` (as equal_bins gives them).
std::string gain_chart(const std::vector<PositionBin>& on, const std::vector<PositionBin>& off);

/// The page, with a chart of loss by position.
std::string demo_page(const DemoFigures& figures);

}  // namespace ingrain::cli
