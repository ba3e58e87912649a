// A model as a GGUF file's metadata and tensors, whose numbers are read row by row.
#pragma once

#include "formats/gguf_mixture.h"
#include "formats/gguf_writer.h"
#include "store/quantize_model.h"

#include <span>

namespace ingrain {

class QuantizedModel::Source {
 public:
  struct Entry {
    std::string name;
    formats::GgufType type;  // as it is stored
    std::vector<uint64_t> shape;
  };
  virtual ~Source() = default;

  const formats::GgufWriter& metadata() const { return metadata_; }
  const std::vector<Entry>& tensors() const { return tensors_; }
  const formats::MixedModel& model() const { return model_; }
  const std::vector<std::string>& notes() const { return notes_; }
  const std::string& name() const { return name_; }

  /// The name by which a tensor's type is chosen (formats/gguf_mixture.h).
  virtual const std::string& kind(size_t tensor) const { return tensors_[tensor].name; }
  /// Called before and after a tensor's rows.
  virtual void begin(size_t) {}
  virtual void end(size_t) {}
  /// Rows of a tensor as fp32. From any number of threads between begin() and end().
  virtual void rows(size_t tensor, uint64_t first, uint64_t count, std::span<float> out) const = 0;
  /// The tensor's bytes, where they can be taken as they are; else nothing.
  virtual std::string_view bytes(size_t) const { return {}; }

 protected:
  formats::GgufWriter metadata_;
  std::vector<Entry> tensors_;
  formats::MixedModel model_;
  std::vector<std::string> notes_;
  std::string name_;
};

/// Of a GGUF file: as it is.
std::unique_ptr<QuantizedModel::Source> quantize_source_of_gguf(const std::filesystem::path& path);
/// Of a folder, of ours or Hugging Face's.
std::unique_ptr<QuantizedModel::Source> quantize_source_of_folder(const std::filesystem::path& path);

}  // namespace ingrain
