#include "measures/json.h"

#include "base/json_fields.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>

namespace ingrain::measures {

using nlohmann::json;

namespace {

json number(double x) { return std::isfinite(x) ? json(x) : json(nullptr); }

double mean_of(const Field& fields) {
  const auto mean = fields.find("mean_nll");
  return mean ? mean->number() : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

json to_json(const std::vector<DocumentLoss>& documents) {
  json out = json::array();
  for (const DocumentLoss& d : documents) {
    json one{{"document", d.name}, {"scored", d.scored}, {"mean_nll", number(d.mean_nll)}};
    if (d.bits_per_byte) one["bits_per_byte"] = *d.bits_per_byte;
    for (const PositionBin& bin : d.bins)
      one["by_position"].push_back({{"begin", bin.begin},
                                    {"end", bin.end},
                                    {"scored", bin.scored},
                                    {"mean_nll", number(bin.mean_nll)},
                                    {"not_finite", bin.not_finite}});
    out.push_back(std::move(one));
  }
  return out;
}

std::vector<DocumentLoss> documents_from_json(const json& root, const std::string& where) {
  constexpr int64_t kMost = int64_t{1} << 50;
  std::vector<DocumentLoss> out;
  for (const Field& one : Field(root, where).elements()) {
    DocumentLoss d{.name = one.at("document").string(),
                   .bins = {},
                   .scored = one.at("scored").integer(0, kMost),
                   .mean_nll = mean_of(one),
                   .bits_per_byte = one.number("bits_per_byte", 0, 1e12)};
    for (const Field& bin : one.at("by_position").elements())
      d.bins.push_back({bin.at("begin").integer(0, kMost), bin.at("end").integer(0, kMost),
                        bin.at("scored").integer(0, kMost), mean_of(bin), bin.at("not_finite").integer(0, kMost)});
    out.push_back(std::move(d));
  }
  return out;
}

json to_json(const std::vector<LossBin>& bins) {
  json out = json::array();
  for (const LossBin& bin : bins)
    out.push_back({{"begin", bin.begin},
                   {"end", bin.end},
                   {"mean_nll", number(bin.loss.mean)},
                   {"interval", number(bin.loss.half)},
                   {"documents", bin.loss.count}});
  return out;
}

json to_json(const std::vector<RecallRow>& rows) {
  json out = json::array();
  for (const RecallRow& row : rows)
    out.push_back({{"told", tasks::told_name(row.told)},
                   {"windows", row.windows},
                   {"context", row.context},
                   {"asked", row.asked},
                   {"exact", row.exact},
                   {"first", row.first},
                   {"old_first", row.old_first},
                   {"log_p", number(row.log_p)},
                   {"log_p_others", number(row.log_p_others)}});
  return out;
}

json to_json(const std::vector<AskedRow>& rows) {
  json out = json::array();
  for (const AskedRow& row : rows)
    out.push_back({{"task", row.task},
                   {"length", row.length},
                   {"samples", row.score.count},
                   {"score", number(row.score.mean)},
                   {"interval", number(row.score.half)}});
  return out;
}

}  // namespace ingrain::measures
