#include "store/reference_config.h"

#include "base/error.h"
#include "base/json.h"

namespace ingrain {
namespace {

using nlohmann::json;

/// A field that must be there, of type T.
template <class T>
T field(const json& object, const char* name, const std::string& where) {
  require(object.is_object() && object.contains(name), "{}: field '{}' is missing", where, name);
  try {
    return object.at(name).get<T>();
  } catch (const json::exception&) {
    fail("{}: field '{}' has the wrong type", where, name);
  }
}

}  // namespace

GoldenConfig load_golden_config(const std::filesystem::path& path) {
  const std::string where = path.string();
  const json root = read_json(path, 16 << 20);
  const json summary = field<json>(root, "summary", where);
  const json official = field<json>(root, "official_config", where);
  const json model = field<json>(official, "model", where), training = field<json>(official, "training", where);
  const auto integer = [&](const char* name) { return field<int64_t>(summary, name, where); };
  const auto number = [&](const char* name) { return field<double>(summary, name, where); };

  GoldenConfig out;
  ModelConfig& m = out.model;
  m.vocab_size = integer("vocab");
  m.hidden_size = integer("hidden");
  m.num_layers = integer("layers");
  m.num_heads = m.num_kv_heads = integer("heads");
  require(m.num_heads > 0, "{}: 'heads' must be positive", where);
  m.head_dim = m.hidden_size / m.num_heads;
  m.mlp_size = integer("ffn");
  m.suffix_len = integer("suffix");
  const bool prime = field<bool>(summary, "prime", where);
  require(prime || m.suffix_len == 0, "{}: a suffix without fast MLPs ('prime': false) is not supported", where);
  m.fast_mlp_size = prime ? m.mlp_size : 0;
  const auto block = field<std::string>(summary, "block", where);
  m.window = block == "self_attention" ? ModelConfig::kFullAttention : integer("window");
  m.chunk = integer("chunk");
  m.tie_embeddings = field<bool>(summary, "tie", where);
  m.rms_eps = field<double>(model, "rms_norm_eps", where);
  m.qk_norm = field<bool>(model, "qk_norm", where);
  m.post_norm = m.fast_post_norm = field<bool>(model, "post_norm", where);
  m.rope_theta = number("theta");
  m.bos_id = field<int64_t>(model, "bos_token_id", where);
  m.eos_ids = {field<int64_t>(model, "eos_token_id", where)};
  m.inner_lr = number("inner_lr");
  m.inner_clip = number("inner_clip");
  m.trained_length = integer("seq");
  validate(m, where);

  out.meta = field<std::string>(summary, "kind", where) == "meta";
  out.bf16 = field<std::string>(summary, "compute", where) == "bf16";
  out.lr = number("lr");
  out.init_lr = number("init_lr");
  out.end_lr = number("end_lr");
  out.weight_decay = number("wd");
  out.clip = number("clip");
  out.ilr_init = number("ilr_init");
  out.warmup = integer("warmup");
  out.decay = integer("decay");
  out.ilr_warmup = integer("ilr_warmup");
  out.step0 = integer("step0");
  out.decay_embedding = field<bool>(summary, "emb_wd", where);
  if (root.contains("fast_chunks") && !root["fast_chunks"].is_null())
    out.fast_chunks = field<std::vector<int64_t>>(root, "fast_chunks", where);
  return out;
}

ModelConfig load_reference_model_config(const std::filesystem::path& path) {
  const std::string where = path.string();
  const json j = read_json(path, 1 << 20);
  ModelConfig m;
  m.vocab_size = field<int64_t>(j, "vocab_size", where);
  m.hidden_size = field<int64_t>(j, "hidden_size", where);
  m.num_layers = field<int64_t>(j, "num_hidden_layers", where);
  m.num_heads = m.num_kv_heads = field<int64_t>(j, "num_attention_heads", where);
  require(m.num_heads > 0, "{}: 'num_attention_heads' must be positive", where);
  m.head_dim = m.hidden_size / m.num_heads;
  m.mlp_size = m.fast_mlp_size = field<int64_t>(j, "intermediate_size", where);
  m.suffix_len = field<int64_t>(j, "suffix_len", where);
  if (m.suffix_len == 0) m.fast_mlp_size = 0;
  m.window = field<int64_t>(j, "sliding_window_size", where);
  m.chunk = field<int64_t>(j, "mini_batch_size", where);
  m.rope_theta = field<double>(j, "rope_theta", where);
  m.rms_eps = field<double>(j, "rms_norm_eps", where);
  m.init_std = field<double>(j, "initializer_range", where);
  m.tie_embeddings = field<bool>(j, "tie_word_embeddings", where);
  m.qk_norm = field<bool>(j, "qk_norm", where);
  m.post_norm = m.fast_post_norm = field<bool>(j, "post_norm", where);
  require(field<bool>(j, "pre_norm", where), "{}: 'pre_norm': false is not supported", where);
  m.bos_id = field<int64_t>(j, "bos_token_id", where);
  m.eos_ids = {field<int64_t>(j, "eos_token_id", where)};
  m.inner_lr = field<double>(j, "inner_lr", where);
  m.inner_clip = field<double>(j, "inner_clip", where);
  m.trained_length = field<int64_t>(j, "trained_sequence_length", where);
  validate(m, where);
  return m;
}

}  // namespace ingrain
