#include "study/report.h"

#include "base/error.h"
#include "base/files.h"
#include "base/mean_text.h"
#include "base/text.h"
#include "measures/json.h"
#include "report/charts.h"
#include "report/page.h"
#include "study/report_recall.h"
#include "study/run.h"

#include <algorithm>
#include <cmath>

namespace ingrain::study {
namespace {

namespace fs = std::filesystem;
using measures::DocumentLoss;
using measures::LossBin;
using nlohmann::json;
using report::Line;

/// A rival in one of its ways of reading, with what it scored.
struct Scored {
  std::string rival, title;
  bool learn, ablation;
  std::vector<DocumentLoss> documents;
};

std::vector<Scored> scored_of(const json& gathered) {
  std::vector<Scored> out;
  for (const json& rival : gathered["rivals"]) {
    if (!rival.contains("measures") || !rival["measures"].contains("loss")) continue;
    const bool learns = rival["learns"];
    for (const char* way : {"on", "off"}) {
      const json& loss = rival["measures"]["loss"];
      if (!loss.contains(way)) continue;
      std::string title = rival["title"];
      if (learns && std::string_view(way) == "off") title += ", learning off";
      out.push_back({rival["name"], title, std::string_view(way) == "on", rival.value("ablation", false),
                     measures::documents_from_json(loss[way], rival["name"].get<std::string>() + "/loss.json")});
    }
  }
  return out;
}

/// A rival as it is meant to read: learning, where it can.
const Scored* find(const std::vector<Scored>& all, const std::string& rival, bool only_off = false) {
  for (const Scored& s : all)
    if (s.rival == rival && !(only_off && s.learn)) return &s;
  return nullptr;
}

Line line_of(const Scored& s, const std::vector<LossBin>& bins) {
  Line out{s.title, {}, s.title.ends_with("learning off")};
  for (const LossBin& bin : bins)
    out.points.push_back(
        {static_cast<double>(bin.end), bin.loss.mean, bin.loss.mean - bin.loss.half, bin.loss.mean + bin.loss.half});
  return out;
}

std::string with_interval(const MeanInterval& x, const char* format = "{:.3f}") {
  if (!std::isfinite(x.mean)) return "-";
  const std::string mean = fmt::format(fmt::runtime(format), x.mean);
  return std::isfinite(x.half) ? fmt::format("{} ± {:.3f}", mean, x.half) : mean;
}

const report::Axis kPosition{.title = "tokens read (to the end of the bin)", .log = true};

void tell_loss(report::Page& page, const json& gathered, const std::vector<Scored>& scored) {
  if (scored.empty()) return;
  page.heading("Loss against context length");
  const Scored* reference = find(scored, gathered["reference"]);
  const size_t documents = scored.front().documents.size();
  if (reference) {
    std::vector<Line> lines;
    for (const Scored& s : scored)
      if (&s != reference) lines.push_back(line_of(s, measures::paired_difference(s.documents, reference->documents)));
    page.chart(report::line_chart(fmt::format("Loss less that of {}, nats a token (lower is better)", reference->title),
                                  kPosition, {.title = "difference, nats a token"}, lines));
    page.note(
        fmt::format("Means over the same {} held-out documents, bin by bin; the bands are 95 % intervals of the "
                    "difference, document by document. Every token is scored before anything is learnt from it.",
                    documents));
  }
  std::vector<Line> lines;
  for (const Scored& s : scored) lines.push_back(line_of(s, measures::over_documents(s.documents)));
  for (Line& line : lines)
    for (Line::Point& p : line.points) p.low = p.high = NAN;  // documents differ more than models
  page.chart(report::line_chart("Loss by position", kPosition, {.title = "nats a token"}, lines));

  std::vector<std::vector<std::string>> rows{{"model", "parameters", "mean loss", "last bin",
                                              "last bin less " + (reference ? reference->title : std::string("-"))}};
  std::vector<std::pair<size_t, size_t>> best;
  double least = INFINITY;
  for (const Scored& s : scored) {
    const LossBin last = measures::over_documents(s.documents).back();
    std::vector<double> means;
    for (const DocumentLoss& d : s.documents) means.push_back(d.mean_nll);
    std::string parameters;
    for (const json& rival : gathered["rivals"])
      if (rival["name"] == s.rival) parameters = with_commas(rival["parameters"]);
    rows.push_back(
        {s.title, parameters, with_interval(mean_interval(means)), with_interval(last.loss),
         reference && &s != reference
             ? with_interval(measures::paired_difference(s.documents, reference->documents).back().loss, "{:+.3f}")
             : "-"});
    if (last.loss.mean < least) least = last.loss.mean, best = {{rows.size() - 1, 3}};
  }
  page.table(rows, best);
}

void tell_two_by_two(report::Page& page, const json& gathered, const std::vector<Scored>& scored) {
  const std::string ours = gathered["ours"], plain = gathered["plain"];
  const Scored *meta_on = find(scored, ours), *meta_off = find(scored, ours, true), *plain_on = find(scored, plain),
               *plain_off = find(scored, plain, true);
  if (!meta_on || !meta_off || !plain_on || !plain_off) return;
  page.heading("What meta-learning does, and what learning while reading does");
  const auto cell = [](const Scored* s) {
    std::vector<double> means;
    for (const DocumentLoss& d : s->documents) means.push_back(d.mean_nll);
    return with_interval(mean_interval(means));
  };
  page.table({{"mean loss, nats a token", "learning on", "learning off"},
              {"trained through its inner steps", cell(meta_on), cell(meta_off)},
              {"trained without them (dynamic evaluation)", cell(plain_on), cell(plain_off)}});
}

/// Ours, varied: each beside ours as it is.
void tell_ablations(report::Page& page, const json& gathered, const std::vector<Scored>& scored) {
  const Scored* ours = find(scored, gathered["ours"]);
  std::vector<Line> lines;
  std::vector<std::vector<std::string>> rows{{"model", "mean loss", "last bin", "last bin less ours"}};
  for (const Scored& s : scored) {
    if (!ours || (!s.ablation && s.rival != ours->rival)) continue;
    std::vector<double> means;
    for (const DocumentLoss& d : s.documents) means.push_back(d.mean_nll);
    rows.push_back({s.title, with_interval(mean_interval(means)),
                    with_interval(measures::over_documents(s.documents).back().loss), "-"});
    if (&s == ours) continue;
    const std::vector<LossBin> less = measures::paired_difference(s.documents, ours->documents);
    rows.back().back() = with_interval(less.back().loss, "{:+.3f}");
    if (s.ablation && !s.learn) continue;  // in the table alone
    lines.push_back(line_of(s, less));
    for (Line::Point& p : lines.back().points) p.low = p.high = NAN;  // the table says them for the last bin
  }
  if (rows.size() <= 3) return;  // ours with learning on and off
  page.heading(ours->title + ", varied");
  page.chart(report::line_chart(fmt::format("Loss less that of {}, nats a token (lower is better)", ours->title),
                                kPosition, {.title = "difference, nats a token"}, lines));
  page.table(rows);
}

void tell_latency(report::Page& page, const json& gathered) {
  std::vector<Line> decode, prefill, memory;
  std::string loads;
  for (const json& rival : gathered["rivals"]) {
    if (!rival.contains("measures") || !rival["measures"].contains("latency")) continue;
    Line d{rival["title"], {}}, p{rival["title"], {}}, m{rival["title"], {}};
    for (const json& row : rival["measures"]["latency"]["rows"]) {
      const double x = row["context"];
      d.points.push_back({x, row["decode_ms"], row["decode_ms_low"], row["decode_ms_high"]});
      p.points.push_back({x, row["prefill_seconds"], NAN, NAN});
      m.points.push_back({x, row["memory_bytes"].get<double>() / 1e6, NAN, NAN});
    }
    decode.push_back(d), prefill.push_back(p), memory.push_back(m);
    loads += fmt::format("{}{:.1f}", loads.empty() ? "" : ", ", rival["measures"]["latency"]["load"].get<double>());
  }
  if (decode.empty()) return;
  page.heading("Latency against context length");
  const report::Axis context{.title = "tokens of context", .log = true};
  page.chart(
      report::line_chart("Writing a token after a context", context, {.title = "ms a token", .zero = true}, decode));
  page.chart(report::line_chart("Reading a context", context, {.title = "seconds", .log = true}, prefill));
  page.chart(report::line_chart("Memory of a context", context, {.title = "MB", .log = true}, memory));
  page.note(fmt::format(
      "Medians; the band holds the middle half of the tokens. Times are of this machine as busy as it was (its "
      "load, model by model: {}); losses do not depend on that.",
      loads));
}

void tell_mqar(report::Page& page, const json& gathered) {
  std::vector<std::vector<std::string>> rows{{"model"}};
  for (const json& rival : gathered["rivals"]) {
    if (!rival.contains("measures") || !rival["measures"].contains("mqar")) continue;
    const json& all = rival["measures"]["mqar"];
    if (rows.size() == 1)
      for (const json& one : all) rows[0].push_back(fmt::format("{} pairs", one["pairs"].get<int64_t>()));
    rows.push_back({rival["title"]});
    for (const json& one : all) rows.back().push_back(fmt::format("{:.1f} %", 100 * one["accuracy"].get<double>()));
  }
  if (rows.size() == 1) return;
  page.heading("Multi-query associative recall");
  page.paragraph(
      "Each rival's last layers, trained on it from scratch with the same examples and steps: how often the likeliest "
      "token is the right one.");
  page.table(rows);
}

void tell_training(report::Page& page, const json& gathered) {
  std::vector<Line> curves;
  std::vector<report::Bar> seconds;
  for (const json& rival : gathered["rivals"]) {
    if (!rival.contains("training") || rival["training"]["curve"].empty()) continue;
    Line line{rival["title"], {}};
    for (const json& point : rival["training"]["curve"])
      line.points.push_back({point["tokens"], point["loss"], NAN, NAN});
    curves.push_back(std::move(line));
    const json& training = rival["training"];
    if (training.contains("tokens_per_second"))
      seconds.push_back({rival["title"], 1e6 / training["tokens_per_second"].get<double>()});
  }
  if (curves.empty()) return;
  page.heading("Training");
  const json& t = gathered["training"];
  page.paragraph(
      fmt::format("All were trained on the same batches in the same order: {} steps of {} sequences of {} "
                  "tokens, {} tokens in all.",
                  t["steps"].get<int64_t>(), t["batch"].get<int64_t>(), with_commas(t["length"]),
                  with_commas(t["steps"].get<int64_t>() * t["batch"].get<int64_t>() * t["length"].get<int64_t>())));
  page.chart(
      report::line_chart("Training loss", {.title = "tokens", .format = "~s"}, {.title = "nats a token"}, curves));
  page.chart(
      report::bar_chart("Cost of training", {.title = "seconds for a million tokens (by the median step)"}, seconds));
  page.note("By the clock, on this machine as busy as it was: beside other work a step counts for more than it costs.");
}

}  // namespace

std::string report_page(const json& gathered) {
  report::Page page("ingrain study: " + gathered["title"].get<std::string>());
  const json& m = gathered["machine"];
  page.note(fmt::format("Program of commit {}; {}, {} cores ({}), libtorch {}.", m["commit"].get<std::string>(),
                        m["processor"].get<std::string>(), m["cores"].get<int64_t>(), m["vectors"].get<std::string>(),
                        m["libtorch"].get<std::string>()));
  const std::vector<Scored> all = scored_of(gathered);
  json rivals = gathered;
  std::erase_if(rivals["rivals"].get_ref<json::array_t&>(), [](const json& r) { return r.value("ablation", false); });
  tell_loss(page, rivals, scored_of(rivals));
  tell_two_by_two(page, gathered, all);
  tell_ablations(page, gathered, all);
  tell_recall(page, rivals);
  tell_mqar(page, rivals);
  tell_latency(page, rivals);
  tell_training(page, rivals);
  return page.html();
}

void write_report(const StudyConfig& study, const fs::path& folder) {
  const json gathered = gather(study, folder);
  write_file(folder / "report.json", gathered.dump(1) + "\n");
  write_file(folder / "report.html", report_page(gathered));
}

}  // namespace ingrain::study
