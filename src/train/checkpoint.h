// Checkpoints: one safetensors file each, whole or not at all, from which a run continues bit for bit.
//
// Tensors: every master weight under its own name ("blocks.3.wqkv"), fp32, and beside every trained one its
// ".first_moment" and ".second_moment"; a run that began with a model and trains a part of it leaves out the rest,
// which is in that model: metadata "frozen" (its folder) and "frozen_fingerprint". Metadata: "format" =
// "ingrain-checkpoint", "state" (JSON: counters, optimizer steps, loader, length of the log), "config" (config.json),
// "settings" (as given), "tokenizer" (path, may be empty), "checksum" ("sum:" and a sum over all tensors' bytes in
// pieces of 64).
//
// The file is the same whatever the number of ranks: each writes, and on resuming reads, the stretches that it owns.
#pragma once

#include "train/trainer.h"

namespace ingrain::train {

/// The checkpoint after `step` steps: FOLDER/checkpoint-00000500.safetensors.
std::filesystem::path checkpoint_path(const std::filesystem::path& folder, int64_t step);

/// The checkpoints of a folder, newest first; none if the folder does not exist.
std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& folder);

/// Writes the trainer's state into its checkpoint folder, then removes all but the newest checkpoint.keep. On all
/// ranks, and so is resume_newest(). `log_bytes`: how long the log is now, as rank 0 knows it. Returns the path. Error
/// if it cannot be written; the older ones then stay.
std::filesystem::path save_checkpoint(const Trainer& trainer, uint64_t log_bytes);

struct Resumed {
  std::filesystem::path path;
  uint64_t log_bytes = 0;
  std::vector<std::string> damaged;  // newer checkpoints that could not be used, and why
};

/// Puts the newest checkpoint that is whole into the trainer. Error if there is none, or if it belongs to a model of
/// another shape, to other data, or to a run that began with another model (both fingerprints are named).
Resumed resume_newest(Trainer& trainer);

/// Writes the model that a checkpoint holds as a folder: config.json, model.safetensors (in type `store`) and the
/// tokenizer of the run or of the model it began with. A run that trains a part of an adapter gives an adapter of the
/// same base. Error if a model that it began with and left in part as it was is gone, or another one.
void export_model(const std::filesystem::path& checkpoint, const std::filesystem::path& folder, at::ScalarType store);

/// The same from a running trainer, by rank 0. `saved`: the checkpoint of its state now, in which a rank finds the
/// weights that others own.
void export_model(const Trainer& trainer, const std::filesystem::path& saved);

}  // namespace ingrain::train
