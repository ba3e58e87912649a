// A model as a GGUF file in few bits a weight.
#pragma once

#include "formats/gguf_mixture.h"
#include "formats/gguf_writer.h"
#include "model/config.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ingrain {

/// What quantizing a model will make. It is made of a model that lies where it lay; nothing is written before write().
class QuantizedModel {
 public:
  /// Any model (store/stored_weights.h); a GGUF file's own metadata and tensors are kept, whatever they are. Error
  /// naming file, field and remedy for what is no model, or cannot be a GGUF file.
  QuantizedModel(const std::filesystem::path& model, const formats::GgufMixture& mixture);
  ~QuantizedModel();

  /// Of all tensors.
  uint64_t weights() const;
  /// Of the file that will be.
  uint64_t bytes() const;
  /// "q4_k 84, q6_k 25, f32 61": how many tensors have which type.
  std::string types() const;
  /// What a person should know.
  const std::vector<std::string>& notes() const { return notes_; }

  /// Writes the file, whole or not at all. on_progress: how many weights are done. Error naming the tensor that has a
  /// NaN, an infinity, or numbers beyond what its type holds.
  void write(const std::filesystem::path& file, const std::function<void(uint64_t done)>& on_progress) const;

  /// Where tensors come from.
  class Source;

 private:
  formats::GgufWriter writer() const;

  std::unique_ptr<Source> source_;
  std::vector<formats::GgufType> types_;
  std::vector<std::string> notes_;
};

}  // namespace ingrain
