// Models of other programs: a Hugging Face folder or a GGUF file, read where it lies.
#pragma once

#include "families/layout.h"
#include "model/config.h"
#include "ops/dual.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ingrain {

/// Rows of a matrix in the blocks in which a GGUF file has them.
struct StoredBlocks {
  uint32_t type;  // the file's number
  int64_t rows, columns;
  std::string_view bytes;  // of the mapped file
};

/// A model opened for reading. Its files are mapped: opening reads little more than their headers.
class DecoderSource {
 public:
  virtual ~DecoderSource() = default;

  const ModelConfig& config() const { return config_; }
  /// Whether norms are other numbers than the files', which the files' type may not hold.
  bool changes_norms() const { return layout_.changes_norms(); }
  /// A tensor by its name in our model.safetensors, in the file's type (fp32 if that is quantized).
  /// Error naming the file and the tensor if it is missing.
  virtual Tensor read(const std::string& name) const = 0;
  /// The same as it lies, if it is a matrix in a GGUF file's blocks.
  virtual std::optional<StoredBlocks> blocks(const std::string&) const { return std::nullopt; }
  /// Bytes that blocks() gave are not needed any more: they need not stay in memory.
  virtual void forget(const StoredBlocks&) const {}
  /// The type of all tensors, or fp32 where they have several or are quantized.
  virtual at::ScalarType type() const = 0;
  /// 16 hexadecimal digits from the names and bytes of all tensors.
  virtual std::string fingerprint() const = 0;
  /// What a person should know of it: where its files contradict each other, and which of them is followed.
  const std::vector<std::string>& notes() const { return notes_; }

 protected:
  ModelConfig config_;
  families::TensorLayout layout_;
  std::vector<std::string> notes_;
};

/// A GGUF file that is imported as it is lies in its folder under this name.
inline constexpr const char* kGgufInFolder = "model.gguf";

/// Opens the model at `path` if it is a GGUF file (known by its first bytes), a folder with one of that name
/// or one whose config.json has Hugging Face's keys; null for anything else. Error naming file, field and remedy if it
/// is one that is damaged or of a family that is not supported.
std::unique_ptr<DecoderSource> open_decoder(const std::filesystem::path& path);

}  // namespace ingrain
