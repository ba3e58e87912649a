#include "model/stored_weights.h"

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "data/checksum.h"
#include "model/network.h"
#include "model/tensor_io.h"

namespace ingrain {
namespace {

namespace fs = std::filesystem;

constexpr const char *kAdapter = "adapter.safetensors", *kBase = "base.json";

std::string text_field(const nlohmann::json& object, const char* key, const fs::path& path) {
  require(object.is_object() && object.contains(key) && object[key].is_string(), "{}: '{}' is missing or no string; "
          "the file looks like {{\"folder\": \"../base\", \"fingerprint\": \"0123456789abcdef\"}}", path.string(), key);
  return object[key].get<std::string>();
}

/// How an adapter in `folder` names its base: relative where both lie on one tree.
std::string reference_to(const fs::path& base, const fs::path& folder) {
  const fs::path relative = fs::relative(base, folder);
  return (relative.empty() ? fs::absolute(base) : relative).string();
}

}  // namespace

StoredWeights::StoredWeights(const fs::path& folder) {
  if (fs::exists(folder / kAdapter)) {
    const fs::path file = folder / kBase;
    const nlohmann::json json = read_json(file, 1 << 16);
    base_folder_ = (folder / text_field(json, "folder", file)).lexically_normal();
    const std::string wanted = text_field(json, "fingerprint", file);
    require(fs::is_directory(*base_folder_), "{}: the base of this adapter is not at {}; put the model {} there, or correct 'folder'",
            file.string(), base_folder_->string(), printable(wanted));
    require(!fs::exists(*base_folder_ / kAdapter), "{}: the base {} is itself an adapter; an adapter's base is a whole model", file.string(),
            base_folder_->string());
    base_.emplace(*base_folder_);
    const std::string found = fingerprint_of(*base_);
    require(found == wanted, "{}: this adapter was made for the model {}, but {} holds the model {}; name the right folder in {}",
            folder.string(), printable(wanted), base_folder_->string(), found, kBase);
  }
  own_.emplace(base_folder_ ? folder / kAdapter : folder);
  fingerprint_ = fingerprint_of(*own_);
  if (!base_) return;
  const std::string both = fingerprint_of(*base_) + fingerprint_;
  fingerprint_ = fmt::format("{:016x}", data::checksum(both.data(), both.size()));
}

bool StoredWeights::contains(std::string_view name) const { return own_->contains(name) || (base_ && base_->contains(name)); }

const formats::SafetensorsFolder& StoredWeights::holder(std::string_view name) const {
  return base_ && !own_->contains(name) ? *base_ : *own_;
}

const formats::TensorEntry& StoredWeights::entry(std::string_view name) const { return *holder(name).at(name).entry; }

Tensor StoredWeights::read(std::string_view name) const { return read_tensor(holder(name), name); }

void save_adapter(const fs::path& folder, const ModelConfig& config, const Weights& weights, const fs::path& base_folder,
                  at::ScalarType store) {
  const StoredWeights base(base_folder);
  require(!base.base(), "{}: is itself an adapter; an adapter's base is a whole model", base_folder.string());
  fs::create_directories(folder);
  require(!fs::exists(folder / "model.safetensors"), "{}: holds a whole model; choose another folder", folder.string());
  TensorWriter writer;
  Weights source = weights;
  visit_parameters(config, source, [&](const std::string& parameter, Tensor& tensor, ParameterKind) {
    for (const StoredPart& part : stored_parts(config, parameter)) {
      const Tensor x = part.rows < 0 ? tensor : tensor.narrow(0, part.first_row, part.rows);
      if (!base.contains(part.name) || !at::equal(base.read(part.name).to(x.scalar_type()), x.cpu())) writer.add(part.name, x.to(store));
    }
  });
  writer.metadata("format", "ingrain-adapter");
  writer.write(folder / kAdapter);
  write_file(folder / kBase, nlohmann::json{{"folder", reference_to(base_folder, folder)}, {"fingerprint", base.fingerprint()}}.dump(2) + "\n");
  write_file(folder / "config.json", to_json(config).dump(2) + "\n");
}

}  // namespace ingrain
