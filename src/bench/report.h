// The result of a benchmark: figures with their units, what they were measured on, and an earlier result beside them.
#pragma once

#include "bench/machine.h"

#include <nlohmann/json_fwd.hpp>

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ingrain::bench {

struct Figure {
  std::string name;  // unique in its report: "context 4096: tokens"
  double value = 0;
  std::string unit;           // "tokens/s", "ms", "MB"
  std::optional<double> was;  // the same figure in the earlier report
};

/// What is no figure: "a token's work" is "captured".
struct Fact {
  std::string name, value;
};

struct Report {
  std::string benchmark;    // "read", "decode", "train", "ops"
  std::string model, type;  // what was run and in which compute type; no model for "ops"
  Machine machine;
  Peaks peaks;
  std::vector<Figure> figures;
  std::vector<Fact> facts = {};

  void add(std::string name, double value, std::string unit) {
    figures.push_back({std::move(name), value, std::move(unit), {}});
  }
};

/// Fills in the machine and its peaks, measured now: after the runs, so that memory's peak is theirs.
void measure_machine(Report& report, const std::vector<at::ScalarType>& types, at::Device device);
/// Adds what shares of the peaks the figures in GFLOP/s (of products in `compute`) and GB/s reach.
void add_shares_of_peaks(Report& report, at::ScalarType compute);

nlohmann::json to_json(const Report& report);
/// Fills in Figure::was from a report that --json printed. Error if the file is none, or of another benchmark.
void compare(Report& report, const std::filesystem::path& earlier);
/// For people: the heading, then one line a figure; with an earlier report also its value and the ratio to it.
std::string to_text(const Report& report);
/// What was measured, on which machine, and its peaks: two lines.
std::string heading(const Report& report);

}  // namespace ingrain::bench
