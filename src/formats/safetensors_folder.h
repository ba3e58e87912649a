// Several safetensors files seen as one: a model in shards.
#pragma once

#include "formats/safetensors.h"

#include <memory>

namespace ingrain::formats {

/// All tensors of a model, wherever they lie. Movable; any number of threads may read.
class SafetensorsFolder {
 public:
  /// Where a tensor is; both point into this object.
  struct Location {
    const SafetensorsFile* file;
    const TensorEntry* entry;
  };

  /// `path` is a .safetensors file, or a folder that holds (the first of these that exists)
  /// model.safetensors; model.safetensors.index.json with its shards; params.safetensors;
  /// params-*.safetensors. Error if there is none, if a name is in two files, or if the index disagrees with
  /// a shard.
  explicit SafetensorsFolder(const std::filesystem::path& path);

  const std::map<std::string, Location>& tensors() const { return tensors_; }
  /// The files' metadata together; where two files give a key, the first file's value.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  bool contains(std::string_view name) const;
  /// Error naming the folder, the tensor and names close to it if there is no such tensor.
  const Location& at(std::string_view name) const;
  std::span<const uint8_t> bytes(std::string_view name) const;
  const std::filesystem::path& path() const { return path_; }

 private:
  void open_index(const std::filesystem::path& index);
  const SafetensorsFile& open(const std::filesystem::path& file);

  std::filesystem::path path_;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, Location> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace ingrain::formats
