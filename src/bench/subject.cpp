#include "bench/subject.h"

#include "base/error.h"
#include "base/files.h"
#include "data/encoding.h"
#include "data/random.h"
#include "store/open_model.h"
#include "store/model_tokenizer.h"
#include "model/quantized.h"

#include <ATen/Context.h>

#include <algorithm>

namespace ingrain::bench {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxTextBytes = uint64_t{1} << 28;
constexpr int64_t kRandomTokens = 65536;

/// Random weights in the compute type and on the device from the start: 3b would take 12 GB in fp32 on the way.
Weights random_weights(const ModelConfig& config, at::ScalarType compute, at::Device device) {
  const at::NoGradGuard no_grad;
  at::manual_seed(0);
  Weights out = make_weights(config, compute, device);
  fill_initial(config, out, at::globalContext().defaultGenerator(device));
  return out;
}

Network load(const std::string& name, at::ScalarType compute, at::Device device, std::string_view weights) {
  const bool shape = fs::path(name).extension() == ".json" && fs::is_regular_file(name);
  const std::vector<std::string> presets = preset_names();
  if (!shape && std::find(presets.begin(), presets.end(), name) == presets.end())
    return load_model_as(name, compute, device, weights);
  Network model;
  model.config = shape ? load_config(name) : preset(name);
  model.weights = random_weights(model.config, compute, device);
  model.fingerprint = "random";
  choose_weights(model, weights);
  return model;
}

}  // namespace

Tensor Subject::slice(int64_t first, int64_t count) const {
  const Tensor out = at::empty({1, count}, at::kLong);
  const auto size = static_cast<int64_t>(tokens.size());
  for (int64_t i = 0; i < count; ++i) out.data_ptr<int64_t>()[i] = tokens[static_cast<size_t>((first + i) % size)];
  return out;
}

Subject load_subject(const std::string& name, const std::string& text, at::ScalarType compute, at::Device device,
                     std::string_view weights) {
  Subject out{load(name, compute, device, weights), {}};
  const ModelConfig& c = out.model.config;
  if (text.empty()) {
    data::SplitMix64 random(1);
    for (int64_t i = 0; i < kRandomTokens; ++i)
      out.tokens.push_back(static_cast<int32_t>(random.next() % static_cast<uint64_t>(c.vocab_size)));
    return out;
  }
  const auto tokenizer = find_tokenizer(name, c);
  require(tokenizer.has_value(), "{}: no tokenizer.json there to read '{}' with; leave --text out for random tokens",
          name, text);
  const std::string document = read_file(text, kMaxTextBytes);
  data::require_text(document, text);
  out.tokens = tokenizer->encode(document);
  require(!out.tokens.empty(), "{}: holds no tokens; there is nothing to read", text);
  begin_text(c, out.tokens);
  return out;
}

}  // namespace ingrain::bench
