// A language model that can read: its weights and its tokenizer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain {

struct LoadOptions {
  /// Compute type: "fp32", "bf16", "fp64"; "auto": bf16 on a GPU and where the processor multiplies it natively,
  /// otherwise fp32.
  std::string dtype = "auto";
  /// "q8_0", "q4_1": slow weights rounded to eight or four bits, which makes writing faster and reading no slower. On
  /// the CPU only: `device` "auto" is the CPU then, and a GPU's name an OptionError. "native": as the
  /// file has them: a GGUF file's quantized weights stay in its blocks, on the CPU, in fp32 and bf16. "expanded": in
  /// the compute type.
  std::string weights = "native";
  /// Where the model and its memories compute: "cpu"; "cuda", the first GPU; "cuda:1", the second. "auto": the first
  /// GPU that can be used, the CPU where there is none. Memory files know no device: they load on any.
  std::string device = "auto";
  /// False: a model without a tokenizer is taken, too. It reads and writes tokens, and refuses text by Error.
  bool need_tokenizer = true;
  /// So many tokens after a chunk are still read with the weights before its inner step (docs/retrofit.md), in place of
  /// what the model says: the step is computed while they are written, and no token waits for it. 0: at once. Error
  /// where the model cannot have it: it must be below its chunk.
  std::optional<int64_t> step_delay = std::nullopt;
  /// As step_delay, of who writes and wants no token to wait: an eighth of a chunk, on a CPU, for models that delay no
  /// step and can.
  static constexpr int64_t kDelayOfWriting = -1;
};

/// Immutable and cheap to copy: copies share the weights, which live as long as any copy or any memory of the model.
/// Every member is safe to call from many threads at once.
class Model {
 public:
  /// A model folder: config.json, model.safetensors, tokenizer.json (docs/formats.md). Error naming the file and the
  /// field if something is missing, malformed or contradicts the rest; OptionError for an option that is not known, or
  /// for a GPU that is not here.
  static Model load(const std::filesystem::path& folder, const LoadOptions& options = {});

  /// 16 hexadecimal digits of the stored weights. A memory belongs to models with the same one.
  const std::string& fingerprint() const;
  int64_t parameter_count() const;
  std::string device() const;             // where it is: "cpu", "cuda:0"
  std::string dtype() const;              // what it computes in: "fp32", "bf16", "fp64"
  std::optional<int64_t> window() const;  // tokens that attention sees, in the layer that sees most; none: all
  int64_t chunk() const;                  // tokens of an inner step
  bool learns() const;  // whether it has fast weights, which reading moves; else a memory is attention's window alone

  /// The token ids of `text`; nothing is added in front. Special tokens written in it ("<|im_end|>") are text like any
  /// other unless `parse_special`.
  std::vector<int32_t> encode(std::string_view text, bool parse_special = false) const;
  /// The same as a document begins: with the model's beginning-of-text token in front, if it has one.
  std::vector<int32_t> encode_document(std::string_view text, bool parse_special = false) const;
  std::optional<int32_t> begin_of_text() const;
  /// Their text, as valid UTF-8; special tokens have none, unless `with_special`.
  std::string decode(std::span<const int32_t> tokens, bool with_special = false) const;

  /// What is odd about its files, in whole sentences for a user; it works all the same.
  const std::vector<std::string>& warnings() const;

  /// What ingrain's own sources see of it (src/api/parts.h).
  struct Parts;
  const Parts& parts() const { return *parts_; }

 private:
  explicit Model(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}
  std::shared_ptr<const Parts> parts_;
};

}  // namespace ingrain
