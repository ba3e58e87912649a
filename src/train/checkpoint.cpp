#include "train/checkpoint.h"

#include "base/error.h"
#include "base/json.h"
#include "base/json_fields.h"
#include "base/text.h"
#include "base/checksum.h"
#include "base/shared_file.h"
#include "base/unfinished.h"
#include "store/model_files.h"
#include "store/model_tokenizer.h"
#include "store/stored_weights.h"
#include "store/tensor_io.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <sstream>

namespace ingrain::train {
namespace {

namespace fs = std::filesystem;
using formats::SafetensorsFile;
using nlohmann::json;

constexpr const char* kFormat = "ingrain-checkpoint";
constexpr const char *kPrefix = "checkpoint-", *kEnd = ".safetensors";

/// The sum over pieces of 64 bytes, each weighted by its tensor and place: ranks sum what they own, and the sum of
/// their sums is that of all.
uint64_t checksum_of(const std::string& name, uint64_t first_byte, std::span<const uint8_t> bytes) {
  constexpr uint64_t kPiece = 64, kOdd = 0x9E3779B97F4A7C15;
  const uint64_t of_tensor = checksum(name.data(), name.size());
  uint64_t sum = 0;
  for (uint64_t at = 0; at < bytes.size(); at += kPiece)
    sum += checksum(bytes.data() + at, std::min(kPiece, bytes.size() - at)) *
           ((of_tensor + (first_byte + at) / kPiece * kOdd) | 1);
  return sum;
}

/// The sum of every rank's.
uint64_t sum_of_all(distributed::Communicator& ranks, uint64_t mine) {
  const std::vector<uint64_t> all = ranks.gather_numbers<uint64_t>({&mine, 1});
  return std::accumulate(all.begin(), all.end(), uint64_t{0});
}

/// Each rank looks at its share of the tensors.
uint64_t checksum_of(const SafetensorsFile& file, distributed::Communicator& ranks) {
  uint64_t mine = 0;
  int turn = 0;
  for (const auto& [name, entry] : file.tensors())
    if (turn++ % ranks.ranks() == ranks.rank()) mine += checksum_of(name, 0, file.bytes(name));
  return sum_of_all(ranks, mine);
}

/// As versions before 0.2 wrote it: over all bytes, tensor after tensor.
uint64_t old_checksum_of(const SafetensorsFile& file) {
  Checksum sum;
  for (const auto& [name, entry] : file.tensors()) sum.update(file.bytes(name).data(), file.bytes(name).size());
  return sum.value();
}

constexpr const char* kSum = "sum:";  // before the checksum's digits; earlier versions' have nothing there

const std::string& metadata_of(const SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  require(found != file.metadata().end(), "{}: no training checkpoint: metadata '{}' is missing", file.path().string(),
          key);
  return found->second;
}

json json_of(const SafetensorsFile& file, const std::string& key) {
  return parse_json(metadata_of(file, key), fmt::format("{}: metadata '{}'", file.path().string(), key));
}

/// Opens a checkpoint and looks at every byte, all ranks together. Error, on all of them, if it is damaged.
SafetensorsFile open_whole(const fs::path& path, distributed::Communicator& ranks = distributed::alone()) {
  std::optional<SafetensorsFile> file;
  std::string checksum;
  together(ranks, [&] {
    file.emplace(path);
    require(metadata_of(*file, "format") == kFormat, "{}: no training checkpoint: its format is '{}'", path.string(),
            metadata_of(*file, "format"));
    checksum = metadata_of(*file, "checksum");
  });
  const bool old = !checksum.starts_with(kSum);
  const std::string here =
      fmt::format("{}{:016x}", old ? "" : kSum, old ? old_checksum_of(*file) : checksum_of(*file, ranks));
  require(checksum == here, "{}: its bytes do not match its checksum; the file is damaged", path.string());
  return std::move(*file);
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
  const auto shapes = trainer.state_shapes();
  require(shapes.size() == file.tensors().size(),
          "{}: holds {} tensors, this run has {}; were train.train_only changed?", file.path().string(),
          file.tensors().size(), shapes.size());
  for (const auto& [name, shape] : shapes) {
    const auto& entry = file.at(name);
    require(entry.dtype == formats::DType::F32 && shape == entry.shape,
            "{}: tensor '{}' has another shape or type than this run's", file.path().string(), name);
  }
  data::LoaderState loader;
  from_json(fields.at("loader").json(), loader);
  trainer.restore({number("step"), number("tokens"), number("skipped"), number("skipped_in_a_row")},
                  number("optimizer_steps"), loader);
  for (const auto& [name, x_n, first] : trainer.state())
    x_n.copy_(view_tensor(file, name).view({-1}).narrow(0, first, x_n.numel()));
  return static_cast<uint64_t>(number("log_bytes"));
}

/// The finished model, whole or not at all: an adapter again if the run began with one and left the base's weights as
/// they are.
void write_model(const fs::path& folder, const ModelConfig& config, const Weights& weights, at::ScalarType store,
                 const fs::path& frozen, const fs::path& tokenizer) {
  const auto base = frozen.empty() ? std::nullopt : StoredWeights(frozen).base();
  UnfinishedFolder made(folder, /*may_hold_files=*/true);
  if (base) {
    save_adapter(made.path(), config, weights, *base, store);
  } else {
    save_model(made.path(), config, weights, store);
  }
  if (!frozen.empty()) copy_tokenizer(frozen, made.path());
  if (!tokenizer.empty()) copy_tokenizer(tokenizer, made.path());
  made.commit();
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

namespace {

/// What stands before the tensors, and where each of them goes. Of the metadata rank 0's count.
formats::SafetensorsLayout layout_of(const Trainer& trainer, uint64_t log_bytes, uint64_t checksum,
                                     const fs::path& path) {
  const RunConfig& run = trainer.run();
  const Counters& counters = trainer.counters();
  formats::SafetensorsWriter writer;
  for (const auto& [name, shape] : trainer.state_shapes()) writer.declare(name, formats::DType::F32, shape);
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
  writer.metadata("checksum", fmt::format("{}{:016x}", kSum, checksum));
  return writer.layout(path);
}

std::span<const uint8_t> bytes_of(const Tensor& x) { return {static_cast<const uint8_t*>(x.data_ptr()), x.nbytes()}; }

}  // namespace

fs::path save_checkpoint(const Trainer& trainer, uint64_t log_bytes) {
  distributed::Communicator& ranks = trainer.ranks();
  const fs::path path = checkpoint_path(trainer.run().checkpoint.folder, trainer.counters().step);
  std::vector<StateTensor> own = trainer.state();
  uint64_t sum = 0;
  together(ranks, [&] {
    for (auto& [name, x_n, first] : own) {
      x_n = x_n.detach().to(at::kCPU).contiguous();
      require(is_finite(x_n.scalar_type(), bytes_of(x_n)),
              "{}: tensor '{}' holds a NaN or an infinity, with which nothing can go on; nothing was written",
              path.string(), name);
      sum += checksum_of(name, static_cast<uint64_t>(first) * x_n.element_size(), bytes_of(x_n));
    }
  });
  const auto layout = layout_of(trainer, log_bytes, sum_of_all(ranks, sum), path);
  const uint64_t here = layout.beginning.size(), start = ranks.gather_numbers<uint64_t>({&here, 1})[0];
  std::optional<SharedFile> file;
  together(ranks, [&] {
    if (ranks.first()) file.emplace(SharedFile::make(path, start + layout.size));
  });
  const fs::path unfinished = ranks.gather_texts(file ? file->unfinished().string() : "")[0];
  together(ranks, [&] {
    if (!file) file.emplace(SharedFile::join(unfinished));
    if (ranks.first()) file->write_at(0, layout.beginning.data(), layout.beginning.size());
    for (const auto& [name, x_n, first] : own)
      file->write_at(start + layout.places.at(name) + static_cast<uint64_t>(first) * x_n.element_size(), x_n.data_ptr(),
                     x_n.nbytes());
    file->flush();
  });
  together(ranks, [&] {
    if (!ranks.first()) return;
    file->commit();
    remove_old(trainer.run().checkpoint.folder, static_cast<size_t>(trainer.run().checkpoint.keep));
  });
  return path;
}

Resumed resume_newest(Trainer& trainer) {
  const fs::path& folder = trainer.run().checkpoint.folder;
  Resumed resumed;
  std::string newest_first;  // as rank 0 sees the folder
  for (const fs::path& path : list_checkpoints(folder)) newest_first += path.filename().string() + "\n";
  std::istringstream names(trainer.ranks().gather_texts(newest_first)[0]);
  for (std::string name; std::getline(names, name);) {
    const fs::path path = folder / name;
    std::optional<SafetensorsFile> file;
    try {
      file.emplace(open_whole(path, trainer.ranks()));
    } catch (const Error& e) {
      resumed.damaged.emplace_back(e.what());
      continue;
    }
    resumed.path = path;
    together(trainer.ranks(), [&] { resumed.log_bytes = load_into(trainer, *file); });
    return resumed;
  }
  throw distributed::Agreed(
      fmt::format("{}: no checkpoint to resume from{}; begin the run without resuming", folder.string(),
                  resumed.damaged.empty() ? "" : fmt::format(" ({})", fmt::join(resumed.damaged, "; "))));
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

void export_model(const Trainer& trainer, const fs::path& saved) {
  if (!trainer.ranks().first()) return;
  const RunConfig& run = trainer.run();
  const at::ScalarType store = parse_compute_type(run.checkpoint.model_dtype);
  if (!trainer.ranks().alone()) return export_model(saved, run.checkpoint.model, store);
  write_model(run.checkpoint.model, run.model.config, trainer.master(), store,
              trainer.frozen() ? trainer.frozen()->folder : fs::path(), run.data.tokenizer);
}

}  // namespace ingrain::train
