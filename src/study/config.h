// What a study compares: its rivals, what all of them have in common, and what is measured (docs/study.md).
#pragma once

#include "base/settings.h"
#include "study/mqar.h"
#include "train/run_config.h"

namespace ingrain::study {

/// One model of the comparison: what it has otherwise than all.
struct Rival {
  std::string name;                                                                   // its folder's, too
  std::string title;                                                                  // for people
  nlohmann::json model = nlohmann::json::object(), train = nlohmann::json::object();  // over [model] and [train]
  std::string where;                                                                  // "tiny.toml:12", for errors
  bool ablation = false;  // ours, varied: only its loss is measured, and told of apart
};

struct Measures {
  int64_t context = 16384;       // tokens of each held-out document; shorter ones are left out
  std::vector<int64_t> latency;  // contexts; none: not measured
  int64_t latency_tokens = 64;   // written after each
  int64_t facts = 16;            // of the recall by age; 0: not measured
  std::vector<int64_t> windows = {0, 1, 2, 4, 8, 16, 32, 64};
  int64_t window = 128;             // tokens: what one of them is
  std::vector<int64_t> mqar_pairs;  // each a model that learns MQAR from scratch; none: not measured
  MqarTraining mqar;
};

struct StudyConfig {
  std::string title;
  std::filesystem::path held_out, book;
  std::filesystem::path tokenizer, train;
  std::string ours, reference;  // rivals: the one that is told first; the one whose loss is the zero line
  std::string plain;            // a rival: ours trained without meta-learning, for the 2 x 2; may be empty
  std::vector<Rival> rivals;    // in the study's order, ablations last
  Measures measures;
  SettingMap common;  // model.*, data.*, train.*

  const Rival& rival(std::string_view name) const;
};

/// Error naming file, line, setting and remedy; OptionError for a malformed override.
StudyConfig load_study(const std::filesystem::path& path, const std::vector<std::string>& overrides = {});

/// A rival's training run, with its files below `folder`: run/ and model/.
train::RunConfig run_of(const StudyConfig& study, const Rival& rival, const std::filesystem::path& folder);

}  // namespace ingrain::study
