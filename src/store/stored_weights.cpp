#include "store/stored_weights.h"

#include "base/error.h"
#include "base/json.h"
#include "base/json_fields.h"
#include "base/text.h"
#include "base/checksum.h"
#include "store/model_files.h"
#include "store/no_model.h"
#include "store/tensor_io.h"

#include <set>

namespace ingrain {
namespace {

namespace fs = std::filesystem;

constexpr const char *kAdapter = "adapter.safetensors", *kBase = "base.json";

/// How an adapter in `folder` names its base: relative where both lie on one tree.
std::string reference_to(const fs::path& base, const fs::path& folder) {
  const fs::path relative = fs::relative(base, folder);
  return (relative.empty() ? fs::absolute(base) : relative).string();
}

}  // namespace

StoredWeights::StoredWeights(const fs::path& path) : decoder_(open_decoder(path)) {
  if (decoder_) {
    config_ = decoder_->config();
    fingerprint_ = decoder_->fingerprint();
    return;
  }
  if (!fs::exists(path / "config.json")) fail_no_model(path);
  config_ = load_config(path / "config.json");
  const bool adapter = fs::exists(path / kAdapter);
  if (adapter) open_base(path);
  own_.emplace(adapter ? path / kAdapter : path);
  fingerprint_ = fingerprint_of(*own_);
  if (!base_) return;
  const std::string both = base_->fingerprint() + fingerprint_;
  fingerprint_ = fmt::format("{:016x}", checksum(both.data(), both.size()));
}

void StoredWeights::open_base(const fs::path& folder) {
  const fs::path file = folder / kBase;
  const nlohmann::json json = read_json(file, 1 << 16);
  const Field fields(json, file.string(),
                     "; the file looks like {\"model\": \"../base\", \"fingerprint\": \"0123456789abcdef\"}");
  base_path_ = (folder / fields.at("model").string()).lexically_normal();
  const std::string wanted = fields.at("fingerprint").string();
  require(fs::exists(*base_path_),
          "{}: the base of this adapter is not at {}; put the model {} there, or correct 'model'", file.string(),
          base_path_->string(), printable(wanted));
  require(!fs::exists(*base_path_ / kAdapter),
          "{}: the base {} is itself an adapter; an adapter's base is a whole model", file.string(),
          base_path_->string());
  base_ = std::make_unique<StoredWeights>(*base_path_);
  require(base_->fingerprint() == wanted,
          "{}: this adapter was made for the model {}, but {} is the model {}; name the right one in {}",
          folder.string(), printable(wanted), base_path_->string(), base_->fingerprint(), kBase);
}

Tensor StoredWeights::read(const std::string& name) const {
  if (decoder_) return decoder_->read(name);
  return base_ && !own_->contains(name) ? base_->read(name) : read_tensor(*own_, name);
}

std::optional<StoredBlocks> StoredWeights::blocks(const std::string& name) const {
  if (decoder_) return decoder_->blocks(name);
  return base_ && !own_->contains(name) ? base_->blocks(name) : std::nullopt;
}

void StoredWeights::forget(const StoredBlocks& blocks) const {
  if (decoder_) decoder_->forget(blocks);
  if (base_) base_->forget(blocks);
}

void save_adapter(const fs::path& folder, const ModelConfig& config, const Weights& weights, const fs::path& base_path,
                  at::ScalarType store) {
  const StoredWeights base(base_path);
  require(!base.base(), "{}: is itself an adapter; an adapter's base is a whole model", base_path.string());
  std::set<std::string> in_base;
  for_each_parameter(base.config(), [&](const Parameter& parameter, int64_t layer) {
    for (const StoredPart& part : stored_parts(parameter, base.config(), layer)) in_base.insert(part.name);
  });

  fs::create_directories(folder);
  require(!fs::exists(folder / "model.safetensors"), "{}: holds a whole model; choose another folder", folder.string());
  TensorWriter writer;
  visit_stored(config, weights, [&](const StoredPart& part, const Tensor& x) {
    const bool same = in_base.contains(part.name) && at::equal(base.read(part.name).to(x.scalar_type()), x.cpu());
    if (!same) writer.add(part.name, x.to(store));
  });
  writer.metadata("format", "ingrain-adapter");
  writer.write(folder / kAdapter);
  write_file(
      folder / kBase,
      nlohmann::json{{"model", reference_to(base_path, folder)}, {"fingerprint", base.fingerprint()}}.dump(2) + "\n");
  write_file(folder / "config.json", to_json(config).dump(2) + "\n");
}

}  // namespace ingrain
