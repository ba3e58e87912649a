#include "api/parts.h"
#include "base/error.h"
#include "model/parameters.h"
#include "store/model_tokenizer.h"
#include "store/open_model.h"

namespace ingrain {

Model Model::load(const std::filesystem::path& folder, const LoadOptions& options) {
  Network network = open_model(folder, options);
  auto tokenizer = find_tokenizer(folder, network.config);
  auto parts = std::make_shared<const Parts>(Parts{std::move(network), std::move(tokenizer), folder});
  if (options.need_tokenizer) parts->tokenizer();
  return Model(std::move(parts));
}

const tokenizer::Tokenizer& Model::Parts::tokenizer() const {
  require(tokenizer_if_any.has_value(), "{}: no tokenizer there; put the model's own tokenizer.json beside its weights",
          folder.string());
  return *tokenizer_if_any;
}

const std::string& Model::fingerprint() const { return parts_->network.fingerprint; }
int64_t Model::parameter_count() const { return ingrain::parameter_count(parts_->network.config); }
std::string Model::device() const { return parts_->network.weights.device().str(); }
std::string Model::dtype() const { return compute_type_name(parts_->network.weights.type()); }
std::optional<int64_t> Model::window() const {
  const int64_t widest = parts_->network.config.widest_window();
  return widest >= LayerSpec::kFullAttention ? std::nullopt : std::optional(widest);
}
int64_t Model::chunk() const { return parts_->network.config.chunk; }
bool Model::learns() const { return parts_->network.config.suffix_len > 0; }

std::vector<int32_t> Model::encode(std::string_view text, bool parse_special) const {
  return parts_->tokenizer().encode(text, {.parse_special = parse_special});
}
std::vector<int32_t> Model::encode_document(std::string_view text, bool parse_special) const {
  return document_tokens(parts_->network.config, parts_->tokenizer(), text, parse_special);
}
std::optional<int32_t> Model::begin_of_text() const {
  const int64_t id = parts_->network.config.bos_id;
  return id >= 0 ? std::optional(static_cast<int32_t>(id)) : std::nullopt;
}
std::string Model::decode(std::span<const int32_t> tokens, bool with_special) const {
  return parts_->tokenizer().decode(tokens, /*skip_special=*/!with_special);
}
const std::vector<std::string>& Model::warnings() const {
  static const std::vector<std::string> none;
  return parts_->tokenizer_if_any ? parts_->tokenizer_if_any->warnings() : none;
}

}  // namespace ingrain
