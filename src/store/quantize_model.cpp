#include "store/quantize_model.h"

#include "base/error.h"
#include "formats/gguf_quantize.h"
#include "store/pretrained.h"
#include "store/quantize_source.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cmath>
#include <map>

namespace ingrain {

namespace fs = std::filesystem;
using formats::GgufType;

namespace {

uint64_t weights_of(const QuantizedModel::Source::Entry& tensor) {
  return formats::gguf_rows(tensor.shape) * tensor.shape.back();
}

std::unique_ptr<QuantizedModel::Source> open_source(const fs::path& model) {
  const fs::path inside = model / kGgufInFolder;
  if (formats::is_gguf(model)) return quantize_source_of_gguf(model);
  if (fs::is_directory(model) && formats::is_gguf(inside)) return quantize_source_of_gguf(inside);
  return quantize_source_of_folder(model);
}

/// Quantizes a tensor, a piece at a time, all threads at each.
class TensorQuantizer {
 public:
  TensorQuantizer(const QuantizedModel::Source& source, size_t tensor, GgufType type)
      : source_(source), tensor_(tensor), type_(type), row_(source.tensors()[tensor].shape.back()) {}

  void run(const formats::GgufWriter::Put& put, const std::function<void(uint64_t weights)>& on_progress) {
    constexpr uint64_t kPiece = 4 << 20;  // numbers
    const uint64_t rows = formats::gguf_rows(source_.tensors()[tensor_].shape),
                   bytes = formats::GgufWriter::row_bytes(type_, row_);
    const uint64_t piece = std::max<uint64_t>(kPiece / row_, 1);
    std::string out;
    for (uint64_t first = 0; first < rows; first += piece) {
      const uint64_t count = std::min(piece, rows - first);
      out.resize(count * bytes);
      at::parallel_for(0, static_cast<int64_t>(count), 1, [&](int64_t begin, int64_t end) {
        std::vector<float> x(row_);
        for (int64_t r = begin; r < end; ++r)
          one_row(first + static_cast<uint64_t>(r), x,
                  reinterpret_cast<uint8_t*>(out.data()) + static_cast<uint64_t>(r) * bytes);
      });
      put(out);
      on_progress(count * row_);
    }
  }

 private:
  void one_row(uint64_t row, std::vector<float>& x, uint8_t* out) const {
    source_.rows(tensor_, row, 1, x);
    const std::string& name = source_.tensors()[tensor_].name;
    for (const float value : x)
      require(std::isfinite(value), "{}: tensor '{}' holds a NaN or an infinity; the file is damaged", source_.name(),
              name);
    try {
      formats::quantize(type_, x, out);
    } catch (const Error& e) {
      fail("{}: tensor '{}', row {}: {}", source_.name(), name, row, e.what());
    }
  }

  const QuantizedModel::Source& source_;
  size_t tensor_;
  GgufType type_;
  uint64_t row_;
};

}  // namespace

QuantizedModel::QuantizedModel(const fs::path& model, const formats::GgufMixture& mixture)
    : source_(open_source(model)), notes_(source_->notes()) {
  bool again = false;
  for (size_t i = 0; i < source_->tensors().size(); ++i) {
    const Source::Entry& tensor = source_->tensors()[i];
    types_.push_back(formats::mixed_type(mixture, source_->model(), source_->kind(i), tensor.shape, tensor.type));
    again = again || (!formats::is_native(tensor.type) && types_.back() != tensor.type);
  }
  if (again)
    notes_.push_back(
        fmt::format("{}: its weights are quantized already; what that lost is lost here, too: take a file of F16 or "
                    "BF16 if there is "
                    "one",
                    model.string()));
}

QuantizedModel::~QuantizedModel() = default;

uint64_t QuantizedModel::weights() const {
  uint64_t out = 0;
  for (const Source::Entry& tensor : source_->tensors()) out += weights_of(tensor);
  return out;
}

formats::GgufWriter QuantizedModel::writer() const {
  formats::GgufWriter out = source_->metadata();
  for (size_t i = 0; i < types_.size(); ++i)
    out.tensor(source_->tensors()[i].name, types_[i], source_->tensors()[i].shape);
  return out;
}

uint64_t QuantizedModel::bytes() const { return writer().file_size(); }

std::string QuantizedModel::types() const {
  std::map<std::string, int> count;
  for (const GgufType type : types_) ++count[std::string(formats::gguf_type_info(static_cast<uint32_t>(type))->name)];
  std::vector<std::pair<std::string, int>> sorted(count.begin(), count.end());
  std::ranges::sort(sorted, [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string out;
  for (const auto& [name, tensors] : sorted) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name, tensors);
  return out;
}

void QuantizedModel::write(const fs::path& file, const std::function<void(uint64_t done)>& on_progress) const {
  const formats::GgufWriter out = writer();
  uint64_t done = 0;
  const auto progress = [&](uint64_t weights) { on_progress(done += weights); };
  out.write(file, [&](size_t i, const formats::GgufWriter::Put& put) {
    const std::string_view same = types_[i] == source_->tensors()[i].type ? source_->bytes(i) : std::string_view();
    if (!same.empty()) {
      put(same);
      return progress(weights_of(source_->tensors()[i]));
    }
    source_->begin(i);
    TensorQuantizer(*source_, i, types_[i]).run(put, progress);
    source_->end(i);
  });
}

}  // namespace ingrain
