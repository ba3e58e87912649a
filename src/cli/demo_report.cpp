#include "cli/demo_report.h"

#include "base/mean_text.h"
#include "base/text.h"

#include <fmt/format.h>

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

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else
      out += c;
  }
  return out;
}

/// A line chart of the two losses. Coordinates in SVG units.
class Chart {
 public:
  Chart(const std::vector<PositionBin>& on, const std::vector<PositionBin>& off) : on_(on), off_(off) {
    low_ = 1e9, high_ = -1e9;
    for (const auto* bins : {&on, &off})
      for (const PositionBin& b : *bins) low_ = std::min(low_, b.mean_nll), high_ = std::max(high_, b.mean_nll);
    step_ = high_ - low_ > 1.5 ? 0.5 : 0.2;
    low_ = std::floor(low_ / step_) * step_;
    high_ = std::max(std::ceil(high_ / step_) * step_, low_ + step_);
    last_ = static_cast<double>(on.back().end);
  }

  std::string svg() const {
    std::string out = fmt::format(
        "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"Loss by position, with and without learning\">\n", kWidth,
        kHeight);
    for (double v = low_; v < high_ + step_ / 2; v += step_)
      out += fmt::format(
          "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/><text x=\"{}\" y=\"{:.1f}\" "
          "text-anchor=\"end\">{:.1f}</text>\n",
          kLeft, kWidth - kRight, y(v), y(v), kLeft - 8, y(v) + 4, v);
    for (int i = 0; i <= 4; ++i)
      out += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", x(last_ * i / 4),
                         kHeight - 26, with_commas(std::llround(last_ * i / 4)));
    out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">tokens read</text>\n",
                       (kLeft + kWidth - kRight) / 2, kHeight - 6);
    out += fmt::format("<text x=\"{}\" y=\"14\">loss, nats a token</text>\n", kLeft - 40);
    return out + line(off_, "off", "learning off", -8) + line(on_, "on", "learning on", 18) + "</svg>\n";
  }

 private:
  static constexpr int kWidth = 860, kHeight = 340, kLeft = 52, kRight = 104, kTop = 26, kBottom = 48;

  double x(double token) const { return kLeft + token / last_ * (kWidth - kLeft - kRight); }
  double y(double loss) const { return kTop + (high_ - loss) / (high_ - low_) * (kHeight - kTop - kBottom); }

  std::string line(const std::vector<PositionBin>& bins, const char* style, const char* label, double shift) const {
    std::string points, dots;
    for (const PositionBin& b : bins) {
      if (!std::isfinite(b.mean_nll)) continue;
      const double px = x(static_cast<double>(b.begin + b.end) / 2), py = y(b.mean_nll);
      points += fmt::format("{:.1f},{:.1f} ", px, py);
      dots += fmt::format(
          "<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"><title>{}: tokens {} to {}: "
          "{:.3f}</title></circle>",
          style, px, py, label, with_commas(b.begin), with_commas(b.end), b.mean_nll);
    }
    return fmt::format(
        "<polyline class=\"{}\" points=\"{}\"/>{}\n<text class=\"{} label\" x=\"{}\" y=\"{:.1f}\">{}</text>\n", style,
        points, dots, style, kWidth - kRight + 8, y(bins.back().mean_nll) + (shift > 0 ? 10 : -2), label);
  }

  const std::vector<PositionBin>&on_, &off_;
  double low_, high_, step_, last_;
};

constexpr const char* kStyle = R"(
:root { --paper:#fff; --ink:#1c1c1c; --soft:#666; --grid:#e4e4e4; --on:#0b6e4f; --off:#b4531f; }
@media (prefers-color-scheme: dark) { :root { --paper:#161616; --ink:#e8e8e8; --soft:#a0a0a0; --grid:#333; --on:#4cc38a; --off:#f0935a; } }
body { background:var(--paper); color:var(--ink); font:16px/1.5 system-ui,sans-serif; max-width:880px; margin:2.5rem auto; padding:0 1rem; }
h1 { font-size:1.5rem; margin-bottom:.25rem } h2 { font-size:1.1rem; margin-top:2.2rem } .soft { color:var(--soft) }
svg { width:100%; height:auto; font-size:13px } svg text { fill:var(--soft) } .grid { stroke:var(--grid) }
polyline { fill:none; stroke-width:2.5 } polyline.on { stroke:var(--on) } polyline.off { stroke:var(--off) }
circle.on { fill:var(--on) } circle.off { fill:var(--off) } text.on { fill:var(--on) } text.off { fill:var(--off) } text.label { font-weight:600 }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums } td,th { padding:.3rem .6rem; border-bottom:1px solid var(--grid); text-align:right }
td:first-child,th:first-child { text-align:left } th { font-weight:600 } blockquote { white-space:pre-wrap; margin:0; font-family:Georgia,serif } b.on { color:var(--on) }
)";

std::string row(const std::string& label, const std::string& a, const std::string& b) {
  return fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n", label, a, b);
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
  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\">\n<title>ingrain: reading " +
      escaped(f.document) + "</title><style>" + kStyle + "</style></head><body>\n";
  out += fmt::format(
      "<h1>A model learns {} while reading it</h1>\n<p class=\"soft\">{}, {} tokens, one inner step for every {} "
      "tokens, computed in {}. "
      "A token is always scored before anything was learnt from it.</p>\n",
      escaped(f.document), escaped(f.model), with_commas(f.tokens), f.chunk, f.compute_type);
  out += Chart(f.on_bins, f.off_bins).svg();
  out += "<h2>Prediction</h2><table><tr><th></th><th>learning on</th><th>learning off</th></tr>\n";
  out += row("mean loss, nats a token", mean_text(f.on.mean_nll), mean_text(f.off.mean_nll));
  if (f.on.bits_per_byte && f.off.bits_per_byte)
    out += row("bits a byte of text", fmt::format("{:.4f}", *f.on.bits_per_byte),
               fmt::format("{:.4f}", *f.off.bits_per_byte));
  out += "</table>\n";
  const auto columns = costs(f);
  out += fmt::format("<h2>Cost, with learning</h2>{}<table>",
                     columns.empty() ? "<p class=\"soft\">Too few tokens to tell.</p>" : "");
  const auto cost = [&](const char* tag, const char* label, const auto& value) {
    out += fmt::format("<tr><{0}>{1}</{0}>", tag, label);
    for (const auto& [pace, bytes] : columns) out += fmt::format("<{0}>{1}</{0}>", tag, value(pace, bytes));
    out += "</tr>\n";
  };
  cost("th", "", [](const Pace& p, uint64_t) {
    return fmt::format("tokens {} to {}", with_commas(p.begin), with_commas(p.end));
  });
  cost("td", "tokens a second", [](const Pace& p, uint64_t) { return fmt::format("{:.0f}", p.tokens_per_second()); });
  cost("td", "milliseconds a token", [](const Pace& p, uint64_t) { return fmt::format("{:.3f}", p.ms_per_token()); });
  cost("td", "memory, bytes", [](const Pace&, uint64_t bytes) { return with_commas(static_cast<int64_t>(bytes)); });
  out += fmt::format("</table>\n<p class=\"soft\">The memory file has {} bytes.</p>\n",
                     with_commas(static_cast<int64_t>(f.file_bytes)));
  out += "<h2>Saved, loaded, continued</h2><blockquote><span class=\"soft\">" + escaped(f.before) +
         "</span><b class=\"on\">" + escaped(f.continuation) + "</b></blockquote>\n</body></html>\n";
  return out;
}

}  // namespace ingrain::cli
