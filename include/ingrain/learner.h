// Learning to read, for trainers of one's own: the loss of token sequences and its exact gradient, through every inner
// step, as functions of parameters that the caller keeps and changes.
#pragma once

#include "ingrain/tensors.h"

namespace ingrain {

struct LossOptions {
  bool through_steps = true;   // train.mode "meta"; false: "standard", the fast weights are held at their start
  double rate_multiplier = 1;  // of the inner rate, for its warm-up
  std::string dtype;           // of products and activations: "fp32", "bf16", "fp64"; empty: that of the parameters
  bool recompute = true;       // blocks' activations in the backward pass, in place of keeping them
  int64_t kept_mib = 4096;     // for fast weights kept between the sweeps; beyond it they are computed again
};

struct SequenceLoss {
  at::Tensor loss;           // mean over sequences and chunks of L_t, nats; a scalar, fp32 (fp64)
  at::Tensor chunk_loss_BC;  // L_t of every sequence and chunk
  at::Tensor nll_BT;         // of every token, not masked
  at::Tensor inner_norm_BC;  // |g_t| of every inner step; undefined of loss() and where nothing is learnt
  /// d loss / d parameter, beside the parameters: fp32 (fp64), views of one piece of memory. Undefined: not wanted.
  std::vector<at::Tensor> gradients;
};

/// What a model is, without its weights: they are the caller's. Immutable; safe to use by many threads at once.
class Learner {
 public:
  /// Of a model folder, a Hugging Face folder or a GGUF file; `parameters` becomes its weights. dtype: "fp32", "bf16",
  /// "fp64", of matrices. device: as LoadOptions has it. Errors as of Model::load().
  static Learner load(const std::filesystem::path& model, const std::string& dtype, const std::string& device,
                      NamedTensors& parameters);
  /// Of the text of a config.json, with weights drawn at random, the same for the same seed.
  static Learner draw(std::string_view config, uint64_t seed, const std::string& dtype, const std::string& device,
                      NamedTensors& parameters);

  /// Without weights, of the text of a config.json; `from`, if not empty, is a model whose tokenizer save() takes.
  static Learner of(std::string_view config, const std::filesystem::path& from = {});

  /// The text of its config.json.
  std::string config() const;
  int64_t chunk() const;
  int64_t vocab_size() const;

  /// tokens: [B, T + 1] int64, T a multiple of the chunk. Parameters: of the shapes and in the order in which they were
  /// given, on one device; they are read where they are. Error for what does not fit.
  SequenceLoss loss(const std::vector<at::Tensor>& parameters, const at::Tensor& tokens_BT1,
                    const LossOptions& options) const;
  /// The same with the gradients of those that `wanted` says.
  SequenceLoss gradient(const std::vector<at::Tensor>& parameters, const std::vector<bool>& wanted,
                        const at::Tensor& tokens_BT1, const LossOptions& options) const;

  /// Writes a model folder: config.json, model.safetensors in type `dtype`, and the tokenizer of the model that it was
  /// loaded from, if that has one.
  void save(const std::filesystem::path& folder, const std::vector<at::Tensor>& parameters,
            const std::string& dtype) const;

 private:
  struct State;
  explicit Learner(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace ingrain
