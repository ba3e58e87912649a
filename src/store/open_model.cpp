#include "store/open_model.h"

#include "base/allocator.h"
#include "base/error.h"
#include "base/option_error.h"
#include "model/device.h"
#include "model/quantized.h"
#include "store/assemble_weights.h"
#include "store/stored_weights.h"

#include <algorithm>

namespace ingrain {

namespace {

/// The matrices whose rows all lie in blocks that products can read.
KeptAs kept_as_stored(const StoredWeights& stored) {
  return [&](const Parameter& parameter, int64_t layer) {
    std::vector<KeptRows> out;
    if (!parameter.quantizable && parameter.kind != ParameterKind::embedding) return out;
    for (const StoredPart& part : stored_parts(parameter, stored.config(), layer)) {
      const auto blocks = stored.blocks(part.name);
      const ops::QuantizedFormat* const format = blocks ? ops::format_of_file(blocks->type, part.rows) : nullptr;
      if (!format || blocks->columns % format->block != 0) return std::vector<KeptRows>();
      out.push_back({format, part.rows});
    }
    return out;
  };
}

/// A file's blocks into part `part` of a matrix, a piece at a time: the file's pages of all of it would count beside
/// the copy. Returns whether all weights are finite.
bool take_blocks(const StoredWeights& stored, const StoredBlocks& blocks, const Tensor& quantized, size_t part) {
  constexpr int64_t kPiece = 8 << 20;  // bytes
  const int64_t row = static_cast<int64_t>(blocks.bytes.size()) / blocks.rows,
                group = ops::quantized_parts(quantized)[part].format->rows,
                at_once = std::max(kPiece / row / group, int64_t{1}) * group;
  bool finite = true;
  for (int64_t first = 0; first < blocks.rows; first += at_once) {
    StoredBlocks piece = blocks;
    piece.rows = std::min(at_once, blocks.rows - first);
    piece.bytes = blocks.bytes.substr(static_cast<size_t>(first * row), static_cast<size_t>(piece.rows * row));
    finite &= ops::take_rows(quantized, part, first, piece.rows, piece.bytes.data());
    stored.forget(piece);
  }
  return finite;
}

}  // namespace

Network load_model_as(const std::filesystem::path& path, at::ScalarType compute, at::Device device,
                      std::string_view form) {
  const ops::QuantizedFormat* const format = quantized_form(form);
  if (format) require_quantizable(compute, device, format->name);
  Network model;
  const StoredWeights stored(path);
  model.config = stored.config();
  model.fingerprint = stored.fingerprint();
  const bool as_stored = form == "native" && device.is_cpu() && compute != at::kDouble;
  KeptAs kept_as;
  if (format) kept_as = rounded_to(model.config, *format);
  if (as_stored) kept_as = kept_as_stored(stored);
  StoredRows read_rows = [&](const StoredPart& part, const Tensor& quantized, size_t i) {
    const StoredBlocks blocks = *stored.blocks(part.name);
    require(blocks.rows == part.rows && blocks.columns == quantized.size(1),
            "{}: tensor '{}' has shape [{}, {}]; the model's configuration asks for [{}, {}]", path.string(), part.name,
            blocks.rows, blocks.columns, part.rows, quantized.size(1));
    return take_blocks(stored, blocks, quantized, i);
  };
  if (!as_stored) read_rows = nullptr;
  const auto read = [&](const std::string& name) { return stored.read(name); };
  const Weights weights = assemble_weights(model.config, compute, path, read, kept_as, read_rows);
  model.weights = convert(model.config, weights, compute, device);
  give_back_freed_memory();  // of tensors on their way
  return model;
}

at::Device chosen_device(const LoadOptions& options) {
  if (!quantized_form(options.weights)) return parse_device(options.device);
  if (options.device == "auto") return at::kCPU;
  if (options.device != "cpu" && is_device_name(options.device))
    fail_option("weights", "{} is for the CPU, not for the device {}; leave one of the two out", options.weights,
                options.device);
  return parse_device(options.device);
}

void delay_steps(ModelConfig& config, std::optional<int64_t> tokens, std::string_view where) {
  if (!tokens || config.suffix_len == 0) return;
  InnerRule& inner = config.inner;
  if (*tokens != LoadOptions::kDelayOfWriting)
    inner.step_delay = *tokens;
  else if (inner.step_delay == 0 && inner.steps == 1)
    inner.step_delay = config.chunk / 8;
  validate(config, where);
}

Network open_model(const std::filesystem::path& path, const LoadOptions& options) {
  const at::Device device = chosen_device(options);
  Network out = load_model_as(path, parse_compute_type(options.dtype, device), device, options.weights);
  if (device.is_cpu() || options.step_delay != LoadOptions::kDelayOfWriting)
    delay_steps(out.config, options.step_delay, path.string());
  return out;
}

}  // namespace ingrain
