#include "store/reference_config.h"

#include "base/json.h"
#include "base/json_fields.h"

namespace ingrain {

GoldenConfig load_golden_config(const std::filesystem::path& path) {
  const std::string where = path.string();
  const nlohmann::json document = read_json(path, 16 << 20);
  const Field root(document, where), summary = root.at("summary");
  const Field model = root.at("official_config").at("model");
  const auto integer = [&](const char* name) { return summary.at(name).integer(); };
  const auto number = [&](const char* name) { return summary.at(name).number(); };

  GoldenConfig out;
  ModelConfig& m = out.model;
  m.vocab_size = integer("vocab");
  m.hidden_size = integer("hidden");
  m.num_layers = integer("layers");
  m.num_heads = m.num_kv_heads = summary.at("heads").integer(1);
  m.head_dim = m.hidden_size / m.num_heads;
  m.mlp_size = integer("ffn");
  m.suffix_len = integer("suffix");
  const bool prime = summary.at("prime").boolean();
  if (!prime && m.suffix_len > 0) summary.at("prime").refuse("is false: a suffix without fast MLPs is not supported");
  m.fast_mlp_size = prime ? m.mlp_size : 0;
  const auto block = summary.at("block").string();
  m.window = block == "self_attention" ? ModelConfig::kFullAttention : integer("window");
  m.chunk = integer("chunk");
  m.tie_embeddings = summary.at("tie").boolean();
  m.rms_eps = model.at("rms_norm_eps").number();
  m.qk_norm = model.at("qk_norm").boolean();
  m.post_norm = m.fast_post_norm = model.at("post_norm").boolean();
  m.rope_theta = number("theta");
  m.bos_id = model.at("bos_token_id").integer();
  m.eos_ids = {model.at("eos_token_id").integer()};
  m.inner_lr = number("inner_lr");
  m.inner_clip = number("inner_clip");
  m.trained_length = integer("seq");
  validate(m, where);

  out.meta = summary.at("kind").string() == "meta";
  out.bf16 = summary.at("compute").string() == "bf16";
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
  out.decay_embedding = summary.at("emb_wd").boolean();
  if (const auto chunks = root.find("fast_chunks")) out.fast_chunks = chunks->integers();
  return out;
}

ModelConfig load_reference_model_config(const std::filesystem::path& path) {
  const std::string where = path.string();
  const nlohmann::json document = read_json(path, 1 << 20);
  const Field j(document, where);
  ModelConfig m;
  m.vocab_size = j.at("vocab_size").integer();
  m.hidden_size = j.at("hidden_size").integer();
  m.num_layers = j.at("num_hidden_layers").integer();
  m.num_heads = m.num_kv_heads = j.at("num_attention_heads").integer(1);
  m.head_dim = m.hidden_size / m.num_heads;
  m.mlp_size = m.fast_mlp_size = j.at("intermediate_size").integer();
  m.suffix_len = j.at("suffix_len").integer();
  if (m.suffix_len == 0) m.fast_mlp_size = 0;
  m.window = j.at("sliding_window_size").integer();
  m.chunk = j.at("mini_batch_size").integer();
  m.rope_theta = j.at("rope_theta").number();
  m.rms_eps = j.at("rms_norm_eps").number();
  m.init_std = j.at("initializer_range").number();
  m.tie_embeddings = j.at("tie_word_embeddings").boolean();
  m.qk_norm = j.at("qk_norm").boolean();
  m.post_norm = m.fast_post_norm = j.at("post_norm").boolean();
  if (!j.at("pre_norm").boolean()) j.at("pre_norm").refuse("is false, which is not supported");
  m.bos_id = j.at("bos_token_id").integer();
  m.eos_ids = {j.at("eos_token_id").integer()};
  m.inner_lr = j.at("inner_lr").number();
  m.inner_clip = j.at("inner_clip").number();
  m.trained_length = j.at("trained_sequence_length").integer();
  validate(m, where);
  return m;
}

}  // namespace ingrain
