#include "api/parts.h"
#include "model/parameters.h"
#include "store/model_tokenizer.h"
#include "store/open_model.h"

namespace ingrain {

Model Model::load(const std::filesystem::path& folder, const LoadOptions& options) {
  return Parts::join(open_model(folder, options, kInProgram), folder);
}

Model Model::Parts::join(Network network, const std::filesystem::path& folder) {
  tokenizer::Tokenizer tokenizer = load_tokenizer(folder, network.config);
  return Model(std::make_shared<const Parts>(Parts{std::move(network), std::move(tokenizer), folder}));
}

const std::string& Model::fingerprint() const { return parts_->network.fingerprint; }
int64_t Model::parameter_count() const { return ingrain::parameter_count(parts_->network.config); }
std::string Model::device() const { return parts_->network.weights.device().str(); }
std::optional<int64_t> Model::window() const {
  const int64_t widest = parts_->network.config.widest_window();
  return widest >= LayerSpec::kFullAttention ? std::nullopt : std::optional(widest);
}
int64_t Model::chunk() const { return parts_->network.config.chunk; }
std::vector<int32_t> Model::encode(std::string_view text, bool parse_special) const {
  return parts_->tokenizer.encode(text, {.parse_special = parse_special});
}
const std::vector<std::string>& Model::warnings() const { return parts_->tokenizer.warnings(); }
std::string Model::decode(std::span<const int32_t> tokens) const {
  return parts_->tokenizer.decode(tokens, /*skip_special=*/true);
}

}  // namespace ingrain
