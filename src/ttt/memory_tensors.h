// The tensors of a memory file, from one pass over its bytes.
#pragma once

#include "formats/safetensors.h"
#include "base/checksum.h"
#include "model/network.h"
#include "ttt/page_place.h"

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>

namespace ingrain::ttt {

/// A checksum over a file's metadata (but "checksum") and tensors, both by rising name.
class FileChecksum {
 public:
  void metadata(const std::map<std::string, std::string>& fields);
  /// All bytes of a tensor follow, in pieces.
  void tensor(std::string_view name, std::span<const int64_t> shape);
  void bytes(std::span<const uint8_t> piece) { sum_.update(piece.data(), piece.size()); }
  std::string value() const;

 private:
  void field(std::string_view text);

  Checksum sum_;
};

/// On a CPU, what is in the file as it is to be in RAM is copied into pages of its own, summed and looked through while
/// the processor's cache has it; or (`mapped`) stays where it is, in FilePages. The file must outlive this.
class MemoryTensors {
 public:
  MemoryTensors(const formats::SafetensorsFile& file, const Network& model, bool mapped = false);

  /// What the file's own checksum must be.
  const std::string& checksum() const { return checksum_; }
  /// On the model's device, of this type, and the caller's alone. Error, naming the file and the tensor, for what is of
  /// another kind or not finite.
  Tensor take(const std::string& name, at::ScalarType type);

 private:
  bool is_kept(const std::string& name, const formats::TensorEntry& entry) const;
  void keep(const std::string& name, const formats::TensorEntry& entry, FileChecksum& sum);
  Tensor place_of(const std::string& name, const formats::TensorEntry& entry, at::ScalarType type);
  void map_file();
  /// Where the tensor stays in the file's pages; nullptr: it is copied.
  const FilePages* pages_of(const std::string& name, const formats::TensorEntry& entry) const;

  const formats::SafetensorsFile& file_;
  const at::Device device_;
  const at::ScalarType compute_;
  std::optional<PagePlace> weights_, others_;              // the fast weights, which may outlive the rest, and that
  std::optional<FilePages> weights_pages_, layers_pages_;  // the same, and what layers carry; the rest is small
  uint64_t data_begin_ = 0;                                // in the file
  std::map<std::string, Tensor> kept_;
  std::set<std::string> not_finite_;
  std::string checksum_;
};

}  // namespace ingrain::ttt
