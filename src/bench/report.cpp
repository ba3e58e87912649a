#include "bench/report.h"

#include "base/error.h"
#include "base/json.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <map>

namespace ingrain::bench {

using nlohmann::json;

void measure_machine(Report& report, const std::vector<at::ScalarType>& types, at::Device device) {
  report.machine = describe_machine(device);
  report.peaks = measure_peaks(types, device);
}

void add_shares_of_peaks(Report& report, at::ScalarType compute) {
  const auto figures = report.figures;
  for (const Figure& f : figures) {
    if (f.unit == "GFLOP/s") report.add(f.name + " / peak", report.peaks.share_of_products(f.value, compute), "ratio");
    if (f.unit == "GB/s") report.add(f.name + " / peak", report.peaks.share_of_memory(f.value), "ratio");
  }
}

json to_json(const Report& r) {
  const Machine& m = r.machine;
  json root{{"benchmark", r.benchmark}, {"model", r.model}, {"dtype", r.type}};
  root["machine"] = {{"device", m.device},   {"gpu", m.gpu},           {"processor", m.processor},
                     {"vectors", m.vectors}, {"cores", m.cores},       {"threads", m.threads},
                     {"load", m.load},       {"libtorch", m.libtorch}, {"commit", m.commit}};
  root["peaks"] = {{"gflops", r.peaks.gflops}, {"gbytes_per_second", r.peaks.gbytes}};
  root["figures"] = json::array();
  for (const Figure& f : r.figures) {
    json entry{{"name", f.name}, {"value", f.value}, {"unit", f.unit}};
    if (f.was) entry.update({{"was", *f.was}, {"ratio", f.value / *f.was}});
    root["figures"].push_back(std::move(entry));
  }
  for (const Fact& f : r.facts) root["facts"][f.name] = f.value;
  return root;
}

void compare(Report& report, const std::filesystem::path& earlier) {
  const json root = read_json(earlier, uint64_t{1} << 22);
  const auto is = [](const json& object, const char* key, auto test) {
    return object.is_object() && object.contains(key) && test(object[key]);
  };
  const auto text = [](const json& x) { return x.is_string(); };
  const auto list = [](const json& x) { return x.is_array(); };
  const auto number = [](const json& x) { return x.is_number(); };
  require(is(root, "benchmark", text) && is(root, "figures", list), "{}: no result of 'ingrain bench --json'",
          earlier.string());
  require(root["benchmark"] == report.benchmark, "{}: a result of 'bench {}', this is 'bench {}'", earlier.string(),
          root["benchmark"].get<std::string>(), report.benchmark);
  std::map<std::string, double> was;
  for (const json& entry : root["figures"])
    if (is(entry, "name", text) && is(entry, "value", number))
      was[entry["name"].get<std::string>()] = entry["value"].get<double>();
  for (Figure& figure : report.figures)
    if (const auto found = was.find(figure.name); found != was.end()) figure.was = found->second;
}

std::string heading(const Report& r) {
  const Machine& m = r.machine;
  std::string out = fmt::format("bench {}: ", r.benchmark);
  if (!r.model.empty()) out += r.model + ", ";
  out += r.type + "; ";
  if (!m.gpu.empty()) out += fmt::format("{} ({}), ", m.gpu, m.device);
  out += fmt::format("{} ({}), {} cores, {} threads, load {:.1f}; libtorch {}, commit {}\n", m.processor, m.vectors,
                     m.cores, m.threads, m.load, m.libtorch, m.commit);
  out += "peaks measured now: products ";
  for (const auto& [type, gflops] : r.peaks.gflops) out += fmt::format("{:.0f} GFLOP/s ({}), ", gflops, type);
  return out + fmt::format("reading memory {:.1f} GB/s\n", r.peaks.gbytes);
}

std::string to_text(const Report& r) {
  std::string out = heading(r);
  for (const Figure& f : r.figures) {
    const int digits = std::abs(f.value) < 10 ? 3 : std::abs(f.value) < 1000 ? 1 : 0;
    out += fmt::format("  {:<52} {:>12.{}f} {}", f.name, f.value, digits, f.unit);
    if (f.was) out += fmt::format("   was {:.{}f}, now {:.3f} of it", *f.was, digits, f.value / *f.was);
    out += "\n";
  }
  for (const Fact& f : r.facts) out += fmt::format("  {:<52} {}\n", f.name, f.value);
  return out;
}

}  // namespace ingrain::bench
