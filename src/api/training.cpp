#include "ingrain/training.h"

#include "train/run.h"

namespace ingrain {

TrainingEnd run_training(const std::filesystem::path& run_toml, const TrainingOptions& options) {
  const train::RunOptions run{options.resume, options.interrupted, options.say};
  const train::RunEnd end = train::run_training(train::load_run_config(run_toml, options.overrides), run);
  return end == train::RunEnd::finished ? TrainingEnd::finished : TrainingEnd::interrupted;
}

}  // namespace ingrain
