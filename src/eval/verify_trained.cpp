#include "base/error.h"
#include "base/interrupt.h"
#include "data/tokens.h"
#include "eval/verify.h"
#include "model/network.h"
#include "store/reference_config.h"
#include "store/reference_layout.h"
#include "store/tensor_io.h"
#include "ttt/read.h"
#include "ttt/outer_batch.h"

#include <map>

namespace ingrain::eval {
namespace {

namespace fs = std::filesystem;

/// The first T + 1 tokens of a validation document, [1, T + 1].
Tensor load_tokens(const fs::path& path, int64_t count, int64_t vocab_size, at::Device device) {
  const data::RawTokenFile raw(path, data::TokenType::U16);
  require(static_cast<int64_t>(raw.tokens().size()) >= count, "{}: {} tokens are needed", path.string(), count);
  const Tensor tokens = at::empty({1, count}, at::kInt);
  raw.tokens()
      .part(0, static_cast<uint64_t>(count))
      .copy_to(tokens.data_ptr<int32_t>(), static_cast<uint32_t>(vocab_size));
  return tokens.to(device, at::kLong);
}

}  // namespace

std::vector<Comparison> verify_trained(const fs::path& folder, const VerifyOptions& options) {
  const at::ScalarType compute =
      options.dtype == "auto" ? at::kFloat : parse_compute_type(options.dtype, options.device);
  const formats::SafetensorsFolder params(folder);
  const formats::SafetensorsFile expected(folder / "expected.safetensors");
  Network model;
  model.config = load_reference_model_config(folder / "model.json");
  const Weights master =
      from_reference(model.config, [&](const std::string& name) { return read_tensor(params, name); });
  model.weights = convert(model.config, convert(model.config, master, master_type(compute)), compute, options.device);

  std::map<std::string, Tensor> values;
  for (const auto& [name, entry] : expected.tensors()) {
    const std::string suffix = ".ttt_on.token_nll";
    if (!name.ends_with(suffix)) continue;
    const std::string document = name.substr(0, name.size() - suffix.size());
    const int64_t T = entry.shape.at(0);
    const Tensor tokens = load_tokens(folder / "validation" / ("val_" + document + ".bin"), T + 1,
                                      model.config.vocab_size, options.device);
    for (const bool learn : {true, false}) {
      ttt::Memory memory = ttt::empty_memory(model);
      ttt::ReadOptions read;
      read.learn = learn;
      read.fp32_angles = true;
      read.keep_going = [](int64_t) { return !interrupted(); };
      const Tensor nll_Bn = ttt::read(model, memory, tokens, read).nll_Bn;
      stop_verifying();
      const Tensor nll_BT = nll_Bn.narrow(1, 1, T);
      const std::string at = document + (learn ? ".ttt_on" : ".ttt_off");
      values[at + ".token_nll"] = nll_BT[0];
      values[at + ".chunk_loss"] =
          ttt::chunk_losses(model.config, nll_BT, ttt::split_batch(model.config, tokens, options.device).valid_BT)[0];
    }
  }
  std::vector<Comparison> out;
  for (const auto& [name, entry] : expected.tensors()) {
    const auto at = values.find(name);
    out.push_back(compare(name, at == values.end() ? Tensor() : at->second, read_tensor(expected, name),
                          name.ends_with("loss") ? Quantity::loss : Quantity::nll, compute));
  }
  return out;
}

}  // namespace ingrain::eval
