#include "study/config.h"

#include "base/error.h"
#include "base/json_fields.h"
#include "base/text.h"

#include <algorithm>

namespace ingrain::study {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kMostTokens = int64_t{1} << 30;

Rival read_rival(const std::string& name, const Setting& setting) {
  const Field fields(setting.value, setting.where + ": rivals." + printable(name));
  Rival out{.name = name, .title = fields.string("title").value_or(name), .where = setting.where};
  for (const auto& [key, to] : {std::pair("model", &out.model), std::pair("train", &out.train)}) {
    const auto table = fields.find(key);
    if (!table) continue;
    if (!table->json().is_object()) table->refuse("must be a table: { sliding_window = \"full\" }");
    *to = table->json();
  }
  fields.finish();
  return out;
}

bool plain_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_'; });
}

void read_whole_list(const SettingReader& in, const SettingMap& settings, const std::string& name, int64_t least,
                     std::vector<int64_t>& out) {
  const auto found = settings.find(name);
  if (found == settings.end()) return;
  out = Field(found->second.value, in.describe(name)).integers(least, kMostTokens);
}

void read_measures(SettingReader& in, const SettingMap& settings, Measures& m) {
  in.read("measures.context", m.context, 2, kMostTokens);
  in.read("measures.latency_tokens", m.latency_tokens, 1, 1 << 20);
  in.read("measures.facts", m.facts, 0, 10000);
  in.read("measures.window", m.window, 1, kMostTokens);
  read_whole_list(in, settings, "measures.latency", 1, m.latency);
  read_whole_list(in, settings, "measures.windows", 0, m.windows);
  read_whole_list(in, settings, "mqar.pairs", 1, m.mqar_pairs);
  in.read("mqar.vocab", m.mqar.task.vocab, 8, 1 << 20);
  in.read("mqar.length", m.mqar.task.length, 4, 1 << 20);
  in.read("mqar.steps", m.mqar.steps, 1);
  in.read("mqar.batch", m.mqar.batch, 1, 1 << 20);
  in.read("mqar.lr", m.mqar.lr, 0, 1e3);
  in.read("mqar.layers", m.mqar.layers, 1, 1000);
  in.read("mqar.examples", m.mqar.examples, 1, 1 << 20);
}

}  // namespace

const Rival& StudyConfig::rival(std::string_view name) const {
  for (const Rival& rival : rivals)
    if (rival.name == name) return rival;
  fail("there is no rival called '{}'", printable(name));
}

StudyConfig load_study(const fs::path& path, const std::vector<std::string>& overrides) {
  SettingMap settings = read_settings(path, overrides);
  StudyConfig out;
  std::map<std::string, Rival> known;
  SettingMap own;
  for (const auto& [name, setting] : settings) {
    if (name.starts_with("rivals.")) {
      const std::string rival = name.substr(7);
      require(plain_name(rival), "{}: rivals.{}: letters, digits, '-' and '_' make a rival's name", setting.where,
              printable(rival));
      known.emplace(rival, read_rival(rival, setting));
    } else if (name.starts_with("model.") || name.starts_with("data.") || name.starts_with("train.")) {
      out.common.emplace(name, setting);
    } else if (name != "measures.latency" && name != "measures.windows" && name != "mqar.pairs") {
      own.emplace(name, setting);
    }
  }
  SettingReader in(own, path.string());
  in.need("study.train", "\"work/train\"  # what 'ingrain data prepare' made");
  in.need("study.held_out", "\"work/held-out\"  # text files");
  in.need("study.tokenizer", "\"tokenizer.json\"");
  in.need("study.rivals", "[\"full-attention\"]  # a table [rivals.full-attention] says what it is");
  out.title = path.stem().string();
  in.read("study.title", out.title);
  in.read("study.train", out.train);
  in.read("study.held_out", out.held_out);
  in.read("study.tokenizer", out.tokenizer);
  in.read("study.book", out.book);
  std::vector<std::string> order, ablations;
  in.read("study.rivals", order);
  in.read("study.ablations", ablations);
  require(!order.empty(), "{} is empty; name a rival", in.describe("study.rivals"));
  out.ours = out.reference = order.front();
  in.read("study.ours", out.ours);
  in.read("study.reference", out.reference);
  in.read("study.plain", out.plain);
  read_measures(in, settings, out.measures);
  in.finish();
  std::vector<std::string> names;
  for (const auto& [name, rival] : known) names.push_back(name);
  const auto check = [&](const std::string& setting, const std::string& name, const std::vector<std::string>& among) {
    require(std::find(among.begin(), among.end(), name) != among.end(), "{}: there is no rival called '{}'{}",
            in.describe(setting), printable(name), did_you_mean(name, among));
  };
  const auto add = [&](const std::string& setting, const std::vector<std::string>& added, bool ablation) {
    for (const std::string& name : added) {
      check(setting, name, names);
      require(std::none_of(out.rivals.begin(), out.rivals.end(), [&](const Rival& r) { return r.name == name; }),
              "{} names '{}' twice", in.describe(setting), name);
      out.rivals.push_back(known.at(name));
      out.rivals.back().ablation = ablation;
    }
  };
  add("study.rivals", order, false);
  add("study.ablations", ablations, true);
  check("study.ours", out.ours, order);
  check("study.reference", out.reference, order);
  std::vector<std::string> all = order;
  all.insert(all.end(), ablations.begin(), ablations.end());
  if (!out.plain.empty()) check("study.plain", out.plain, all);
  require(out.measures.facts == 0 || !out.book.empty(),
          "{}: recall hides facts in a book; name one with study.book, or set measures.facts = 0", path.string());
  return out;
}

train::RunConfig run_of(const StudyConfig& study, const Rival& rival, const fs::path& folder) {
  SettingMap settings = study.common;
  const auto set = [&](const std::string& name, json value, const std::string& where) {
    settings[name] = {std::move(value), where, fs::current_path()};
  };
  const std::string where = rival.where + ": rivals." + rival.name;
  for (const auto& [key, value] : rival.model.items()) set("model." + key, value, where);
  for (const auto& [key, value] : rival.train.items()) set("train." + key, value, where);
  set("data.train", fs::absolute(study.train).string(), "study.train");
  set("data.tokenizer", fs::absolute(study.tokenizer).string(), "study.tokenizer");
  set("checkpoint.folder", fs::absolute(folder / "run").string(), "the study's folder");
  set("checkpoint.model", fs::absolute(folder / "model").string(), "the study's folder");
  if (!settings.contains("checkpoint.keep")) set("checkpoint.keep", 1, "study");
  if (!settings.contains("checkpoint.every")) set("checkpoint.every", 50, "study");
  return train::parse_run_config(settings, where);
}

}  // namespace ingrain::study
