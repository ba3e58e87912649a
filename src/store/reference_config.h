// Reading the reference implementation's configurations, for verification and import.
#pragma once

#include "model/config.h"

namespace ingrain {

/// "config.json" of a golden case: our model and the outer loop's settings.
struct GoldenConfig {
  ModelConfig model;
  bool meta = true;  // train_mode
  bool bf16 = false;
  double lr = 0, init_lr = 0, end_lr = 0, weight_decay = 0.1, clip = 1, ilr_init = 1;
  int64_t warmup = 0, decay = 1, ilr_warmup = 0, step0 = 0;
  bool decay_embedding = true;
  std::vector<int64_t> fast_chunks;
};
GoldenConfig load_golden_config(const std::filesystem::path& path);

/// "model.json" of a trained reference model.
ModelConfig load_reference_model_config(const std::filesystem::path& path);

}  // namespace ingrain
