// A GGUF file to be quantized: its metadata and tensors as they are.
#include "base/allocator.h"
#include "base/error.h"
#include "families/families.h"
#include "formats/gguf_quants.h"
#include "store/quantize_source.h"
#include "store/stored_weights.h"

namespace ingrain {
namespace {

class GgufQuantizeSource : public QuantizedModel::Source {
 public:
  explicit GgufQuantizeSource(const std::filesystem::path& path) : file_(path) {
    name_ = path.string();
    const ModelConfig config = StoredWeights(path).config();  // refuses what is no model
    model_ = {config.num_layers, config.num_heads, config.num_kv_heads, config.tie_embeddings};
    for (const formats::GgufRawValue& value : file_.raw_metadata())
      if (value.key != "general.alignment") metadata_.set(value);
    for (const formats::GgufTensor& tensor : file_.tensors())
      tensors_.push_back({tensor.name, tensor.type, tensor.shape});
  }

  void rows(size_t tensor, uint64_t first, uint64_t count, std::span<float> out) const override {
    formats::dequantize_rows(file_.tensors()[tensor], first, count, out);
  }
  std::string_view bytes(size_t tensor) const override { return file_.tensors()[tensor].bytes; }
  void end(size_t tensor) override { forget_pages(file_.tensors()[tensor].bytes); }

 private:
  formats::Gguf file_;
};

}  // namespace

std::unique_ptr<QuantizedModel::Source> quantize_source_of_gguf(const std::filesystem::path& path) {
  return std::make_unique<GgufQuantizeSource>(path);
}

}  // namespace ingrain
