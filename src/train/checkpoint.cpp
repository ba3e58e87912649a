#include "train/checkpoint.h"

#include "base/error.h"
#include "base/json.h"
#include "base/json_fields.h"
#include "base/text.h"
#include "base/checksum.h"
#include "store/model_files.h"
#include "store/model_tokenizer.h"
#include "store/stored_weights.h"
#include "store/tensor_io.h"

#include <algorithm>
#include <map>

namespace ingrain::train {
namespace {

namespace fs = std::filesystem;
using formats::SafetensorsFile;
using nlohmann::json;

constexpr const char* kFormat = "ingrain-checkpoint";
constexpr const char *kPrefix = "checkpoint-", *kEnd = ".safetensors";

std::string checksum_of(const SafetensorsFile& file) {
  Checksum sum;
  for (const auto& [name, entry] : file.tensors()) sum.update(file.bytes(name).data(), file.bytes(name).size());
  return fmt::format("{:016x}", sum.value());
}

std::string checksum_of(const std::map<std::string, Tensor>& tensors) {
  Checksum sum;
  for (const auto& [name, x] : tensors) sum.update(x.data_ptr(), x.nbytes());
  return fmt::format("{:016x}", sum.value());
}

const std::string& metadata_of(const SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  require(found != file.metadata().end(), "{}: no training checkpoint: metadata '{}' is missing", file.path().string(),
          key);
  return found->second;
}

json json_of(const SafetensorsFile& file, const std::string& key) {
  return parse_json(metadata_of(file, key), fmt::format("{}: metadata '{}'", file.path().string(), key));
}

/// Opens a checkpoint and looks at every byte. Error if it is damaged.
SafetensorsFile open_whole(const fs::path& path) {
  SafetensorsFile file(path);
  require(metadata_of(file, "format") == kFormat, "{}: no training checkpoint: its format is '{}'", path.string(),
          metadata_of(file, "format"));
  require(metadata_of(file, "checksum") == checksum_of(file),
          "{}: its bytes do not match its checksum; the file is damaged", path.string());
  return file;
}

/// The differences that would make another model, by field.
void check_same_model(const SafetensorsFile& file, const ModelConfig& config) {
  const json there = json_of(file, "config"), here = to_json(config);
  for (const auto& [key, value] : here.items())
    require(there.contains(key) && there[key] == value,
            "{}: the checkpoint's model has {} = {}, this run's {}; restore it, or begin a new run in another folder",
            file.path().string(), key, there.contains(key) ? there[key].dump() : "nothing", value.dump());
}

std::string optional_metadata(const SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  return found == file.metadata().end() ? "" : found->second;
}

void check_same_frozen(const SafetensorsFile& file, const std::string& fingerprint) {
  const std::string there = optional_metadata(file, "frozen_fingerprint");
  require(there == fingerprint,
          "{}: this checkpoint has only the trained part of the model {}; the model given is {}; name the right one in "
          "model.folder",
          file.path().string(), there.empty() ? "(none: it has all weights)" : printable(there),
          fingerprint.empty() ? "drawn at random" : fingerprint);
}

uint64_t load_into(Trainer& trainer, const SafetensorsFile& file) {
  const at::NoGradGuard no_grad;
  check_same_model(file, trainer.run().model.config);
  check_same_frozen(file, trainer.frozen() ? trainer.frozen()->fingerprint : "");
  const json state = json_of(file, "state");
  const Field fields(state, file.path().string() + ": metadata 'state'", "; the file is damaged");
  const auto number = [&](const char* name) { return fields.at(name).integer(0, int64_t{1} << 62); };
  const auto targets = trainer.state();
  require(targets.size() == file.tensors().size(),
          "{}: holds {} tensors, this run has {}; were train.train_only changed?", file.path().string(),
          file.tensors().size(), targets.size());
  for (const auto& [name, target] : targets) {
    const auto& entry = file.at(name);
    require(entry.dtype == formats::DType::F32 && target.sizes() == at::IntArrayRef(entry.shape),
            "{}: tensor '{}' has another shape or type than this run's", file.path().string(), name);
  }
  data::LoaderState loader;
  from_json(fields.at("loader").json(), loader);
  trainer.restore({number("step"), number("tokens"), number("skipped"), number("skipped_in_a_row")},
                  number("optimizer_steps"), loader);
  for (const auto& [name, target] : targets) target.copy_(read_tensor(file, name));
  return static_cast<uint64_t>(number("log_bytes"));
}

/// The finished model: an adapter again if the run began with one and left the base's weights as they are.
void write_model(const fs::path& folder, const ModelConfig& config, const Weights& weights, at::ScalarType store,
                 const fs::path& frozen, const fs::path& tokenizer) {
  const auto base = frozen.empty() ? std::nullopt : StoredWeights(frozen).base();
  if (base) {
    save_adapter(folder, config, weights, *base, store);
  } else {
    save_model(folder, config, weights, store);
  }
  if (!frozen.empty()) copy_tokenizer(frozen, folder);
  if (!tokenizer.empty()) copy_tokenizer(tokenizer, folder);
}

}  // namespace

fs::path checkpoint_path(const fs::path& folder, int64_t step) {
  return folder / fmt::format("{}{:08}{}", kPrefix, step, kEnd);
}

std::vector<fs::path> list_checkpoints(const fs::path& folder) {
  std::vector<std::pair<int64_t, fs::path>> found;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(folder, missing)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || !name.ends_with(kEnd)) continue;
    const std::string digits =
        name.substr(std::strlen(kPrefix), name.size() - std::strlen(kPrefix) - std::strlen(kEnd));
    if (digits.empty() || digits.size() > 18 || digits.find_first_not_of("0123456789") != digits.npos) continue;
    found.emplace_back(std::stoll(digits), entry.path());
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<fs::path> out;
  for (auto& [step, path] : found) out.push_back(std::move(path));
  return out;
}

namespace {

/// All but the newest `keep` checkpoints.
void remove_old(const fs::path& folder, size_t keep) {
  auto old = list_checkpoints(folder);
  old.erase(old.begin(), old.begin() + static_cast<std::ptrdiff_t>(std::min(keep, old.size())));
  std::error_code ignored;  // one that cannot be removed costs space, not the run
  for (const fs::path& path : old) fs::remove(path, ignored);
}

}  // namespace

fs::path save_checkpoint(const Trainer& trainer, uint64_t log_bytes) {
  const RunConfig& run = trainer.run();
  const Counters& counters = trainer.counters();
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, x] : trainer.state()) tensors[name] = x.detach().to(at::kCPU).contiguous();
  TensorWriter writer;
  for (const auto& [name, x] : tensors) writer.add(name, x);
  writer.metadata("format", kFormat);
  writer.metadata("state", json{{"step", counters.step},
                                {"tokens", counters.tokens},
                                {"skipped", counters.skipped},
                                {"skipped_in_a_row", counters.skipped_in_a_row},
                                {"optimizer_steps", trainer.optimizer().steps()},
                                {"loader", trainer.loader_state()},
                                {"log_bytes", log_bytes}}
                               .dump());
  writer.metadata("config", to_json(run.model.config).dump());
  writer.metadata("settings", run.settings.dump());
  writer.metadata("tokenizer", run.data.tokenizer.empty() ? "" : fs::absolute(run.data.tokenizer).string());
  if (trainer.frozen()) {
    writer.metadata("frozen", fs::absolute(trainer.frozen()->folder).string());
    writer.metadata("frozen_fingerprint", trainer.frozen()->fingerprint);
  }
  writer.metadata("checksum", checksum_of(tensors));
  const fs::path path = checkpoint_path(run.checkpoint.folder, counters.step);
  writer.write(path);

  remove_old(run.checkpoint.folder, static_cast<size_t>(run.checkpoint.keep));
  return path;
}

Resumed resume_newest(Trainer& trainer) {
  const fs::path& folder = trainer.run().checkpoint.folder;
  Resumed resumed;
  for (const fs::path& path : list_checkpoints(folder)) {
    std::optional<SafetensorsFile> file;
    try {
      file.emplace(open_whole(path));
    } catch (const Error& e) {
      resumed.damaged.emplace_back(e.what());
      continue;
    }
    resumed.path = path;
    resumed.log_bytes = load_into(trainer, *file);
    return resumed;
  }
  fail("{}: no checkpoint to resume from{}; begin the run without resuming", folder.string(),
       resumed.damaged.empty() ? "" : fmt::format(" ({})", fmt::join(resumed.damaged, "; ")));
}

void export_model(const fs::path& checkpoint, const fs::path& folder, at::ScalarType store) {
  const SafetensorsFile file = open_whole(checkpoint);
  const ModelConfig config =
      parse_config(json_of(file, "config"), fmt::format("{}: metadata 'config'", checkpoint.string()));
  const fs::path frozen = optional_metadata(file, "frozen");
  Weights weights = make_weights(config, at::kFloat);
  if (!frozen.empty()) {
    const Network start = load_model(frozen, at::kFloat);
    check_same_frozen(file, start.fingerprint);
    weights = start.weights;
  }
  visit_parameters(config, weights, [&](const std::string& name, Tensor& target, ParameterKind) {
    if (!frozen.empty() && !file.contains(name)) return;
    const Tensor x = read_tensor(file, name);
    require(x.sizes() == target.sizes(),
            "{}: tensor '{}' does not have the shape that its config says; the file is damaged", checkpoint.string(),
            name);
    target.copy_(x);
  });
  write_model(folder, config, weights, store, frozen, metadata_of(file, "tokenizer"));
}

void export_model(const Trainer& trainer) {
  const RunConfig& run = trainer.run();
  write_model(run.checkpoint.model, run.model.config, trainer.master(), parse_compute_type(run.checkpoint.model_dtype),
              trainer.frozen() ? trainer.frozen()->folder : fs::path(), run.data.tokenizer);
}

}  // namespace ingrain::train
