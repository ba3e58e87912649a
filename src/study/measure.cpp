#include "study/measure.h"

#include "base/error.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "bench/latency.h"
#include "bench/machine.h"
#include "measures/json.h"
#include "measures/loss.h"
#include "study/kept.h"

namespace ingrain::study {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const char* way_name(bool learn) { return learn ? "on" : "off"; }

json measure_loss(const StudyConfig& study, const Model& model, const std::vector<bool>& ways) {
  const std::vector<measures::Document> documents =
      measures::load_documents(model, {study.held_out}, study.measures.context, study.measures.context);
  json out = json::object();
  for (const bool learn : ways)
    out[way_name(learn)] = measures::to_json(measures::score_documents(
        model, documents, {.learn = learn, .keep_going = [](int64_t) { return !interrupted(); }}));
  return out;
}

json measure_latency(const StudyConfig& study, const Model& model, bool learn) {
  const auto book = measures::load_documents(model, {study.book}, 1 << 20, 1);
  const auto rows = bench::measure_latency(
      model, book.front().tokens,
      {.contexts = study.measures.latency, .tokens = study.measures.latency_tokens, .learn = learn});
  stop_if_interrupted("stopped; run it again to go on");
  json out{{"load", bench::describe_machine(at::Device(model.device())).load}, {"rows", json::array()}};
  for (const bench::Latency& row : rows)
    out["rows"].push_back({{"context", row.context},
                           {"prefill_seconds", row.prefill_seconds},
                           {"decode_ms", row.decode_ms},
                           {"decode_ms_low", row.decode_low},
                           {"decode_ms_high", row.decode_high},
                           {"memory_bytes", row.memory_bytes}});
  return out;
}

json measure_recall(const StudyConfig& study, const Model& model, const std::vector<bool>& ways) {
  const std::string text = read_file(study.book, uint64_t{1} << 28);
  const tasks::Book book(text, study.book.string());
  const Measures& m = study.measures;
  json out = json::object();
  for (const bool learn : ways)
    out[way_name(learn)] = measures::to_json(measures::recall_by_age(
        model, book, {.facts = m.facts, .window = m.window, .windows = m.windows, .learn = learn}));
  return out;
}

json measure_mqar(const train::RunConfig& run, const Measures& m) {
  json out = json::array();
  for (const int64_t pairs : m.mqar_pairs) {
    MqarTraining training = m.mqar;
    training.task.pairs = pairs;
    const MqarResult result = learn_mqar(run, training);
    out.push_back(
        {{"pairs", pairs}, {"accuracy", result.accuracy}, {"queries", result.queries}, {"loss", result.loss}});
  }
  return out;
}

}  // namespace

std::vector<bool> ways_of(const train::RunConfig& run) {
  return run.model.config.suffix_len > 0 ? std::vector<bool>{true, false} : std::vector<bool>{false};
}

json asked_of(const Measures& m, bool ablation) {
  json out{{"loss", {{"context", m.context}}}};
  if (ablation) return out;
  if (!m.latency.empty()) out["latency"] = {{"contexts", m.latency}, {"tokens", m.latency_tokens}};
  if (m.facts > 0) out["recall"] = {{"facts", m.facts}, {"windows", m.windows}, {"window", m.window}};
  const MqarTraining& q = m.mqar;
  if (!m.mqar_pairs.empty())
    out["mqar"] = {{"pairs", m.mqar_pairs}, {"vocab", q.task.vocab}, {"length", q.task.length},
                   {"steps", q.steps},      {"batch", q.batch},      {"lr", q.lr},
                   {"layers", q.layers},    {"examples", q.examples}};
  return out;
}

void measure_rival(const StudyConfig& study, const Rival& rival, const fs::path& folder,
                   const std::function<void(const std::string&)>& say) {
  const train::RunConfig run = run_of(study, rival, folder);
  const std::vector<bool> ways = ways_of(run);
  const Model model = Model::load(folder / "model");
  const json asked = asked_of(study.measures, rival.ablation);
  const auto measure = [&](const char* name, const std::function<json()>& how) {
    if (!asked.contains(name)) return;
    kept_or(folder / (std::string(name) + ".json"), model.fingerprint(), asked[name], [&] {
      say(fmt::format("{}: {}", rival.title, name));
      return how();
    });
  };
  measure("loss", [&] { return measure_loss(study, model, ways); });
  measure("latency", [&] { return measure_latency(study, model, ways.front()); });
  measure("recall", [&] { return measure_recall(study, model, ways); });
  measure("mqar", [&] { return measure_mqar(run, study.measures); });
}

}  // namespace ingrain::study
