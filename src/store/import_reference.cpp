#include "store/import_reference.h"

#include "base/error.h"
#include "base/json.h"
#include "base/option_error.h"
#include "base/unfinished.h"
#include "store/model_files.h"
#include "store/reference_config.h"
#include "store/reference_layout.h"
#include "store/tensor_io.h"

namespace ingrain {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEmbedding = "language_model.model.wte.weight";

ModelConfig load_any_config(const fs::path& file) {
  const nlohmann::json json = read_json(file, 16 << 20);
  return json.is_object() && json.contains("summary") ? load_golden_config(file).model
                                                      : load_reference_model_config(file);
}

/// Whether `file` is a configuration that load_any_config understands, by its outermost keys.
bool is_reference_config(const fs::path& file) {
  if (!fs::is_regular_file(file)) return false;
  const nlohmann::json json = read_json(file, 16 << 20);
  return json.is_object() && (json.contains("summary") || json.contains("mini_batch_size"));
}

ReferenceOptimizerState load_optimizer(const ModelConfig& config, const fs::path& path) {
  const formats::SafetensorsFile file(path);
  const auto moments = [&](const std::string& prefix) {
    return from_reference(config, [&](const std::string& name) {
      return require_finite(read_tensor(file, prefix + name), path, prefix + name);
    });
  };
  const Tensor count = read_tensor(file, "count");
  require(count.numel() == 1, "{}: 'count' must be one number", path.string());
  return {moments("mu."), moments("nu."), count.to(at::kLong).item<int64_t>()};
}

}  // namespace

ReferenceCheckpoint load_reference_checkpoint(const fs::path& folder, const fs::path& config_file) {
  ReferenceCheckpoint out;
  out.config = load_any_config(config_file);
  const formats::SafetensorsFolder stored(folder);
  out.weights = from_reference(
      out.config, [&](const std::string& name) { return require_finite(read_tensor(stored, name), folder, name); });
  out.type = scalar_type(stored.at(kEmbedding).entry->dtype, kEmbedding);
  if (const fs::path optimizer = folder / "optimizer.safetensors"; fs::exists(optimizer))
    out.optimizer = load_optimizer(out.config, optimizer);
  return out;
}

fs::path find_reference_config(const fs::path& folder) {
  fs::path at = fs::absolute(folder).lexically_normal();
  if (!at.has_filename()) at = at.parent_path();  // "dir/" names dir
  for (int i = 0; i < 4 && at.has_relative_path(); ++i, at = at.parent_path()) {
    for (const char* name : {"model.json", "config.json"})
      if (is_reference_config(at / name)) return at / name;
  }
  fail_option("config", "is missing: no model.json or config.json of the reference implementation in {} or above",
              folder.string());
}

void save_optimizer_state(const fs::path& folder, const ModelConfig& config, const ReferenceOptimizerState& state) {
  TensorWriter writer;
  const auto add = [&](const std::string& prefix, const Weights& moments) {
    visit_stored(config, moments,
                 [&](const StoredPart& part, const Tensor& rows) { writer.add(prefix + part.name, rows); });
  };
  add("mean.", state.mean);
  add("square.", state.square);
  writer.metadata("count", std::to_string(state.count));
  writer.write(folder / "optimizer.safetensors");
}

void export_reference(const fs::path& model_folder, const fs::path& file, const std::function<void()>& pause) {
  const Network model = load_model(model_folder, at::kFloat);
  const formats::SafetensorsFolder stored(model_folder);
  const char* const embedding = "model.embed_tokens.weight";
  const at::ScalarType type = scalar_type(stored.at(embedding).entry->dtype, embedding);
  TensorWriter writer;
  uint64_t bytes = 0;
  for (const auto& [name, tensor] : to_reference(model.config, model.weights)) {
    if (pause) pause();
    bytes += static_cast<uint64_t>(tensor.numel()) * at::elementSize(type);
    writer.add(name, tensor.to(type));
  }
  require_space(file, bytes, "the exported model");
  if (pause) pause();
  writer.write(file);
}

}  // namespace ingrain
