#include "study/report.h"

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "bench/machine.h"
#include "study/measure.h"
#include "model/parameters.h"

#include <algorithm>
#include <sstream>

namespace ingrain::study {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uint64_t kMaxLogBytes = uint64_t{1} << 28;
constexpr int64_t kCurvePoints = 60;  // of a training curve: each the mean of as many steps

/// What a rival's log says: totals, and the loss in means of equal numbers of steps.
json training_of(const fs::path& log) {
  std::istringstream lines(read_file(log, kMaxLogBytes));
  std::vector<json> steps;
  for (std::string line; std::getline(lines, line);) {
    json step = parse_json(line, log.string());
    if (step.contains("loss") && step["loss"].is_number()) steps.push_back(std::move(step));
  }
  json out{{"steps", steps.size()}, {"curve", json::array()}};
  if (steps.empty()) return out;
  const size_t each = std::max<size_t>(1, steps.size() / kCurvePoints);
  double seconds = 0, loss = 0;
  std::vector<double> rates;
  for (size_t i = 0; i < steps.size(); ++i) {
    seconds += steps[i].value("seconds", 0.0);
    loss += steps[i]["loss"].get<double>();
    if (steps[i]["tokens_per_second"].is_number()) rates.push_back(steps[i]["tokens_per_second"].get<double>());
    if ((i + 1) % each != 0) continue;
    out["curve"].push_back(
        {{"tokens", steps[i]["tokens"]}, {"seconds", seconds}, {"loss", loss / static_cast<double>(each)}});
    loss = 0;
  }
  out["tokens"] = steps.back()["tokens"];
  out["seconds"] = seconds;
  if (!rates.empty()) {
    std::nth_element(rates.begin(), rates.begin() + static_cast<std::ptrdiff_t>(rates.size() / 2), rates.end());
    out["tokens_per_second"] = rates[rates.size() / 2];
  }
  return out;
}

json rival_json(const StudyConfig& study, const Rival& rival, const fs::path& folder) {
  const train::RunConfig run = run_of(study, rival, folder);
  json out{{"name", rival.name},
           {"title", rival.title},
           {"ablation", rival.ablation},
           {"parameters", parameter_count(run.model.config)},
           {"meta", run.train.mode == train::Mode::meta},
           {"learns", ways_of(run).front()},
           {"model", to_json(run.model.config)},
           {"train", rival.train}};
  if (fs::exists(run.log.file)) out["training"] = training_of(run.log.file);
  const json asked = asked_of(study.measures, rival.ablation);
  std::error_code missing;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder, missing))
    if (entry.path().extension() == ".json" && entry.path().filename() != "settings.json")
      files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    const json kept = parse_json(read_file(file, kMaxLogBytes), file.string());
    // What was asked otherwise will be measured anew, and is not compared with what was asked now.
    const std::string measure = file.stem().string();
    if (kept.contains("result") && asked.contains(measure) && kept.value("settings", json()) == asked[measure])
      out["measures"][measure] = kept["result"];
  }
  return out;
}

json machine_json() {
  const bench::Machine m = bench::describe_machine(at::kCPU);
  return {{"processor", m.processor}, {"vectors", m.vectors},   {"cores", m.cores},
          {"threads", m.threads},     {"libtorch", m.libtorch}, {"commit", m.commit}};
}

}  // namespace

json gather(const StudyConfig& study, const fs::path& folder) {
  json out{{"title", study.title}, {"ours", study.ours},        {"reference", study.reference},
           {"plain", study.plain}, {"machine", machine_json()}, {"rivals", json::array()}};
  out["measures"] = {{"context", study.measures.context}, {"window", study.measures.window}};
  for (const Rival& rival : study.rivals) {
    const train::RunConfig run = run_of(study, rival, folder / rival.name);
    out["training"] = {{"steps", run.train.steps}, {"batch", run.train.batch}, {"length", run.data.length}};
    out["rivals"].push_back(rival_json(study, rival, folder / rival.name));
  }
  return out;
}

}  // namespace ingrain::study
