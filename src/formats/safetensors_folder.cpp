#include "formats/safetensors_folder.h"

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

#include <algorithm>

namespace ingrain::formats {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxIndexBytes = 100'000'000;

/// params-0.safetensors, params-1.safetensors, ...: shorter names first, so that 10 follows 9.
std::vector<fs::path> numbered_shards(const fs::path& folder) {
  std::vector<fs::path> out;
  for (const auto& item : fs::directory_iterator(folder)) {
    const std::string name = item.path().filename().string();
    if (name.starts_with("params-") && name.ends_with(".safetensors")) out.push_back(item.path());
  }
  std::sort(out.begin(), out.end(), [](const fs::path& a, const fs::path& b) {
    return std::pair(a.native().size(), a.native()) < std::pair(b.native().size(), b.native());
  });
  return out;
}

}  // namespace

SafetensorsFolder::SafetensorsFolder(const fs::path& path) : path_(path) {
  const fs::path index = path / "model.safetensors.index.json";
  if (!fs::is_directory(path)) {
    open(path);
  } else if (fs::exists(path / "model.safetensors")) {
    open(path / "model.safetensors");
  } else if (fs::exists(index)) {
    open_index(index);
  } else if (fs::exists(path / "params.safetensors")) {
    open(path / "params.safetensors");
  } else {
    for (const fs::path& shard : numbered_shards(path)) open(shard);
    require(!files_.empty(), "{}: holds no weights: neither model.safetensors (or its index) nor params*.safetensors",
            path.string());
  }
}

const SafetensorsFile& SafetensorsFolder::open(const fs::path& path) {
  const SafetensorsFile& file = *files_.emplace_back(std::make_unique<SafetensorsFile>(path));
  for (const auto& [name, entry] : file.tensors()) {
    const auto [at, added] = tensors_.try_emplace(name, Location{&file, &entry});
    if (!added) {
      fail("{}: tensor '{}' is also in {}; remove one of the files", path.string(), printable(name),
           at->second.file->path().string());
    }
  }
  metadata_.insert(file.metadata().begin(), file.metadata().end());
  return file;
}

void SafetensorsFolder::open_index(const fs::path& index) {
  const nlohmann::json json = read_json(index, kMaxIndexBytes);
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (!json.is_object() || map == json.end() || !map->is_object() || map->empty()) {
    fail("{}: field 'weight_map' must be an object of tensor names and files", index.string());
  }
  std::map<std::string, const SafetensorsFile*> opened;
  for (const auto& [name, value] : map->items()) {
    const std::string shard = value.is_string() ? value.get<std::string>() : "";
    // Only files beside the index: a name from outside must not reach elsewhere.
    if (!shard.ends_with(".safetensors") || shard.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos) {
      fail("{}: field 'weight_map': '{}' must name a .safetensors file in the same folder", index.string(),
           printable(name));
    }
    if (!opened.count(shard)) opened[shard] = &open(index.parent_path() / shard);
    if (!opened[shard]->contains(name)) {
      fail("{}: field 'weight_map': '{}' is not in {}; fetch the shards again", index.string(), printable(name), shard);
    }
  }
}

bool SafetensorsFolder::contains(std::string_view name) const { return tensors_.count(std::string(name)) > 0; }

const SafetensorsFolder::Location& SafetensorsFolder::at(std::string_view name) const {
  const auto found = tensors_.find(std::string(name));
  if (found != tensors_.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& item : tensors_) names.push_back(item.first);
  fail("{}: has no tensor '{}'{}", path_.string(), printable(name), did_you_mean(name, names));
}

std::span<const uint8_t> SafetensorsFolder::bytes(std::string_view name) const { return at(name).file->bytes(name); }

}  // namespace ingrain::formats
