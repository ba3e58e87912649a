#include "study/report_recall.h"

#include "base/mean_text.h"
#include "report/charts.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace ingrain::study {
namespace {

using nlohmann::json;

double number(const json& row, const char* name) { return row[name].is_number() ? row[name].get<double>() : NAN; }

/// A rival in one way of reading, with its rows of measures::RecallRow.
struct Recalled {
  std::string title;
  bool dashed;  // learns, and does not here
  const json* rows;
};

std::vector<Recalled> recalled_of(const json& gathered) {
  std::vector<Recalled> out;
  for (const json& rival : gathered["rivals"]) {
    if (!rival.contains("measures") || !rival["measures"].contains("recall")) continue;
    const json& recall = rival["measures"]["recall"];
    for (const char* way : {"on", "off"}) {
      if (!recall.contains(way)) continue;
      const bool dashed = recall.contains("on") && std::string_view(way) == "off";
      out.push_back({rival["title"].get<std::string>() + (dashed ? ", learning off" : ""), dashed, &recall[way]});
    }
  }
  return out;
}

std::string distance_of(const json& row) { return std::to_string(row["windows"].get<int64_t>()); }

/// The share of `what` among facts told once, by distance; the last row is what a window alone would have.
std::vector<report::Cell> shares(const std::vector<Recalled>& all, const char* what, double window) {
  std::vector<report::Cell> out, alone;
  for (const Recalled& one : all)
    for (const json& row : *one.rows) {
      if (row["told"] != "once") continue;
      const std::string share = fmt::format("{}/{}", row[what].get<int64_t>(), row["asked"].get<int64_t>());
      out.push_back({one.title, distance_of(row), number(row, what) / number(row, "asked"), share});
      if (&one != &all.front()) continue;
      const double seen = std::min(1.0, window / number(row, "context"));
      alone.push_back({"a window alone", distance_of(row), seen, fmt::format("{:.0f} %", 100 * seen)});
    }
  out.insert(out.end(), alone.begin(), alone.end());
  return out;
}

report::Line gain_of(const Recalled& one) {
  report::Line out{one.title, {}, one.dashed};
  for (const json& row : *one.rows)
    if (row["told"] == "once")
      out.points.push_back({number(row, "context"), number(row, "log_p") - number(row, "log_p_others"), NAN, NAN});
  return out;
}

/// All distances together.
std::vector<std::string> total_of(const Recalled& one, const std::string& told) {
  int64_t exact = 0, first = 0, asked = 0;
  double log_p = 0, others = 0;
  for (const json& row : *one.rows) {
    if (row["told"] != told) continue;
    const int64_t n = row["asked"];
    exact += row["exact"].get<int64_t>(), first += row["first"].get<int64_t>(), asked += n;
    log_p += number(row, "log_p") * static_cast<double>(n);
    others += number(row, "log_p_others") * static_cast<double>(n);
  }
  if (asked == 0) return {};
  const double n = static_cast<double>(asked);
  return {one.title,
          told,
          fmt::format("{}/{}", exact, asked),
          fmt::format("{}/{}", first, asked),
          mean_text(log_p / n, 2),
          mean_text(others / n, 2)};
}

}  // namespace

void tell_recall(report::Page& page, const json& gathered) {
  const std::vector<Recalled> all = recalled_of(gathered);
  if (all.empty()) return;
  const int64_t window = gathered["measures"]["window"];
  page.heading("Recall by age");
  page.paragraph(
      fmt::format("Facts told once in a held-out book, asked so many windows of {} tokens later. 'A window "
                  "alone' is window / context: the share of what was read that a window still sees.",
                  window));
  page.chart(report::heat_map("The value begins the greedy continuation", "", "windows later",
                              shares(all, "exact", static_cast<double>(window))));
  page.chart(report::heat_map("The value is the likeliest of ten (chance: 10 %)", "", "windows later",
                              shares(all, "first", static_cast<double>(window))));
  std::vector<report::Line> gains;
  std::vector<std::vector<std::string>> rows{
      {"model", "told", "exact", "likeliest of 10", "log p", "of the nine others"}};
  for (const Recalled& one : all) {
    gains.push_back(gain_of(one));
    for (const char* told : {"once", "updated", "deleted", "never"})
      if (auto row = total_of(one, told); !row.empty()) rows.push_back(std::move(row));
  }
  page.chart(report::line_chart("Log-probability of the value less that of nine others",
                                {.title = "tokens read", .format = "~s"}, {.title = "nats"}, gains));
  page.note(
      "Over all distances, by how a fact was told: once; updated later (the new value is asked for); deleted later "
      "(that it is found counts against a model); never (what chance gives).");
  page.table(rows);
}

}  // namespace ingrain::study
