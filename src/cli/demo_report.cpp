#include "cli/demo_report.h"

#include "base/mean_text.h"
#include "base/text.h"
#include "report/charts.h"
#include "report/page.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace ingrain::cli {
namespace {

constexpr int kBarCells = 30;

std::string bar(double share) {
  static const char* const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int parts = static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * kBarCells * 8));
  std::string out;
  for (int i = 0; i < parts / 8; ++i) out += "█";
  return out + eighths[parts % 8];
}

report::Line line_of(const char* name, const std::vector<PositionBin>& bins) {
  report::Line out{name, {}};
  for (const PositionBin& bin : bins)
    out.points.push_back({static_cast<double>(bin.begin + bin.end) / 2, bin.mean_nll, NAN, NAN});
  return out;
}

}  // namespace

std::vector<std::pair<Pace, uint64_t>> costs(const DemoFigures& f) {
  constexpr int64_t kEnough = 256;
  std::vector<std::pair<Pace, uint64_t>> out;
  for (const auto& [pace, bytes] : {std::pair(f.early, f.early_bytes), std::pair(f.late, f.late_bytes)})
    if (pace.end - pace.begin >= kEnough && (out.empty() || out.back().first.begin != pace.begin))
      out.emplace_back(pace, bytes);
  return out;
}

std::string gain_chart(const std::vector<PositionBin>& on, const std::vector<PositionBin>& off) {
  double most = 1e-9;
  for (size_t i = 0; i < on.size(); ++i) most = std::max(most, off[i].mean_nll - on[i].mean_nll);  // a NaN is not more
  std::string out = "  tokens              off      on     gain (nats a token)\n";
  for (size_t i = 0; i < on.size(); ++i) {
    const double gain = off[i].mean_nll - on[i].mean_nll;
    const bool known = std::isfinite(gain);
    out += fmt::format("  {:>7} - {:<7}  {:>5}   {:>5}  {:>6}  {}\n", with_commas(on[i].begin), with_commas(on[i].end),
                       mean_text(off[i].mean_nll, 3), mean_text(on[i].mean_nll, 3),
                       known ? fmt::format("{:+.3f}", gain) : "-", known ? bar(gain / most) : "");
  }
  return out;
}

std::string demo_page(const DemoFigures& f) {
  report::Page page("A model learns " + f.document + " while reading it");
  page.note(fmt::format(
      "{}, {} tokens, one inner step for every {} tokens, computed in {}. A token is always scored before anything was "
      "learnt from it.",
      f.model, with_commas(f.tokens), f.chunk, f.compute_type));
  page.chart(report::line_chart("Loss by position", {.title = "tokens read", .format = "~s"},
                                {.title = "loss, nats a token"},
                                {line_of("learning on", f.on_bins), line_of("learning off", f.off_bins)}));
  page.heading("Prediction");
  std::vector<std::vector<std::string>> rows{
      {"", "learning on", "learning off"},
      {"mean loss, nats a token", mean_text(f.on.mean_nll), mean_text(f.off.mean_nll)}};
  if (f.on.bits_per_byte && f.off.bits_per_byte)
    rows.push_back({"bits a byte of text", mean_text(*f.on.bits_per_byte), mean_text(*f.off.bits_per_byte)});
  page.table(rows);

  page.heading("Cost, with learning");
  rows = {{""}, {"tokens a second"}, {"milliseconds a token"}, {"memory, bytes"}};
  for (const auto& [pace, bytes] : costs(f)) {
    rows[0].push_back(fmt::format("tokens {} to {}", with_commas(pace.begin), with_commas(pace.end)));
    rows[1].push_back(fmt::format("{:.0f}", pace.tokens_per_second()));
    rows[2].push_back(fmt::format("{:.3f}", pace.ms_per_token()));
    rows[3].push_back(with_commas(static_cast<int64_t>(bytes)));
  }
  if (rows[0].size() > 1)
    page.table(rows);
  else
    page.note("Too few tokens to tell.");
  page.note(fmt::format("The memory file has {} bytes.", with_commas(static_cast<int64_t>(f.file_bytes))));
  page.heading("Saved, loaded, continued");
  page.quotation(f.before, f.continuation);
  return page.html();
}

}  // namespace ingrain::cli
