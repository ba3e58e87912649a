#include "bench/report.h"

#include "base/error.h"
#include "base/json.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>

namespace ingrain::bench {

using nlohmann::json;

json to_json(const Report& r) {
  const Machine& m = r.machine;
  json root{{"benchmark", r.benchmark}, {"model", r.model}, {"dtype", r.type}};
  root["machine"] = {{"processor", m.processor}, {"vectors", m.vectors}, {"cores", m.cores},       {"threads", m.threads},
                     {"load", m.load},           {"libtorch", m.libtorch}, {"commit", m.commit}};
  root["peaks"] = {{"gflops", r.peaks.gflops}, {"gbytes_per_second", r.peaks.gbytes}};
  root["figures"] = json::array();
  for (const Figure& f : r.figures) {
    json entry{{"name", f.name}, {"value", f.value}, {"unit", f.unit}};
    if (f.was) entry.update({{"was", *f.was}, {"ratio", f.value / *f.was}});
    root["figures"].push_back(std::move(entry));
  }
  return root;
}

void compare(Report& report, const std::filesystem::path& earlier) {
  const json root = read_json(earlier, uint64_t{1} << 20);
  const auto is = [](const json& object, const char* key, auto test) { return object.is_object() && object.contains(key) && test(object[key]); };
  const auto text = [](const json& x) { return x.is_string(); };
  const auto list = [](const json& x) { return x.is_array(); };
  const auto number = [](const json& x) { return x.is_number(); };
  require(is(root, "benchmark", text) && is(root, "figures", list), "{}: no result of 'ingrain bench --json'", earlier.string());
  require(root["benchmark"] == report.benchmark, "{}: a result of 'bench {}', this is 'bench {}'", earlier.string(),
          root["benchmark"].get<std::string>(), report.benchmark);
  for (const json& entry : root["figures"]) {
    if (!is(entry, "name", text) || !is(entry, "value", number)) continue;
    for (Figure& figure : report.figures)
      if (figure.name == entry["name"].get<std::string>()) figure.was = entry["value"].get<double>();
  }
}

std::string to_text(const Report& r) {
  const Machine& m = r.machine;
  std::string out = fmt::format("bench {}: {}, {}; {} ({}), {} cores, {} threads, load {:.1f}; libtorch {}, commit {}\n", r.benchmark, r.model,
                                r.type, m.processor, m.vectors, m.cores, m.threads, m.load, m.libtorch, m.commit);
  out += fmt::format("peaks measured now: products {:.0f} GFLOP/s, reading memory {:.1f} GB/s\n", r.peaks.gflops, r.peaks.gbytes);
  for (const Figure& f : r.figures) {
    const int digits = std::abs(f.value) < 10 ? 3 : std::abs(f.value) < 1000 ? 1 : 0;
    out += fmt::format("  {:<44} {:>12.{}f} {}", f.name, f.value, digits, f.unit);
    if (f.was) out += fmt::format("   was {:.{}f}, now {:.3f} of it", *f.was, digits, f.value / *f.was);
    out += "\n";
  }
  return out;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const double rank = std::ceil(share * static_cast<double>(values.size()));
  return values[static_cast<size_t>(std::clamp(rank - 1, 0.0, static_cast<double>(values.size() - 1)))];
}

}  // namespace ingrain::bench
