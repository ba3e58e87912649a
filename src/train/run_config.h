// Everything that decides a training run: what run.toml says, checked, with defaults filled in (docs/training.md).
#pragma once

#include "base/settings.h"
#include "data/loader.h"
#include "model/config.h"
#include "train/adamw.h"
#include "train/schedule.h"

#include <optional>
#include <string>
#include <vector>

namespace ingrain::train {

enum class Mode { standard, meta };

struct RunConfig {
  struct Model {
    std::filesystem::path folder;  // weights to begin with; empty: drawn at random
    ModelConfig config;
  } model;

  struct Data {
    std::filesystem::path train;  // a prepared folder, a shard, or a raw file of tokens
    data::TokenType raw_type = data::TokenType::U16;
    std::filesystem::path tokenizer;  // copied into the model's folder; may be empty
    data::Order order = data::Order::splitmix;
    uint64_t seed = 1, skip = 0;  // skip: batches left out at the beginning
    int64_t length = 0;           // T, a multiple of the chunk
  } data;

  struct Train {
    Mode mode = Mode::meta;
    int64_t steps = 0, batch = 1, accumulation = 1;  // batch: sequences per step; accumulation: parts it is cut into
    Schedule rate;
    InnerRateWarmup inner_rate;
    AdamWOptions adamw;
    std::string dtype = "auto";   // of the computation; master weights are fp32
    std::string device = "auto";  // as parse_device reads it
    std::optional<bool> recompute =
        true;           // blocks' activations in the backward pass; none: as memory allows (memory_plan.h)
    uint64_t seed = 1;  // of the initial weights
    std::vector<std::string> train_only;  // patterns of parameter names; empty: everything is trained
    bool ordered = false;       // gradients are summed sequence by sequence, in the batch's order, whatever the ranks
    int64_t max_skipped = 10;   // steps in a row with a loss or gradient that is not finite
    int64_t kept_mib = 4096;    // for fast weights kept between the sweeps; beyond it they are computed again
    int64_t kept_host_mib = 0;  // of the host, for those that a GPU computes again from
  } train;

  struct Validation {
    std::vector<std::filesystem::path> paths;
    int64_t every = 0;      // steps; 0: at the end only
    int64_t sequences = 8;  // from each file's beginning
    int64_t length = 0;
  } validation;

  struct Checkpoint {
    std::filesystem::path folder;
    int64_t every = 500, keep = 3;
    std::filesystem::path model;  // where the finished model goes
    std::string model_dtype = "fp32";
  } checkpoint;

  struct Log {
    std::filesystem::path file;
    int64_t every = 1;
  } log;

  nlohmann::json settings;  // {"train.steps": 100, ...}: as given, for checkpoints
};

/// Reads run.toml and `--set` words. What the model leaves open (vocabulary, bos) is taken from the data.
/// Error naming file, line, setting and remedy; OptionError for a malformed override.
RunConfig load_run_config(const std::filesystem::path& path, const std::vector<std::string>& overrides = {});

/// The same from settings that are already read; `source` names them in errors.
RunConfig parse_run_config(const SettingMap& settings, const std::string& source);

/// Where a run computes. UsageError that names train.device if that cannot be had here.
at::Device device_of(const RunConfig& run);

/// The whole configuration, defaults included, as text that load_run_config reads back.
std::string resolved_toml(const RunConfig& config);

/// Whether `name` ("blocks.3.mlp.w2") is trained: `*` and `?` in a pattern match any characters.
bool is_trained(const RunConfig& config, const std::string& name);

}  // namespace ingrain::train
