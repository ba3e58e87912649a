// Memories as files: safetensors with metadata (docs/formats.md). A file is whole or absent, checked when it is read.
#pragma once

#include "ingrain/memory_file.h"
#include "formats/safetensors.h"
#include "ttt/memory.h"

#include <filesystem>
#include <string>

namespace ingrain::ttt {

/// Writes atomically. Error if the file cannot be written. REQUIRES: `memory` belongs to `model`, which has a
/// fingerprint (it came from load_model).
void save_memory(const std::filesystem::path& path, const Network& model, const Memory& memory,
                 MemoryForm form = MemoryForm::working);

/// none: as Memory::shrunk(). mapped: the same, yet on a CPU in the file's own pages (FilePages), which is several
/// times as fast; for files that nobody shortens.
enum class Room { for_more, none, mapped };

/// Reads a memory for `model`, on its device. Error, naming the file and what is wrong, if the file is damaged (its
/// checksum, shapes, counts and values are checked against the model's configuration) or belongs to another model
/// (both fingerprints are named). Saved from a model of another compute type, it is converted.
Memory load_memory(const std::filesystem::path& path, const Network& model, Room room = Room::for_more);

/// Reads and checks the metadata alone: needs no model and is fast. Error if it is no memory file.
MemoryInfo read_memory_info(const std::filesystem::path& path);

/// The same, and every byte is held against the checksum. Error if the file is damaged.
MemoryInfo check_memory(const std::filesystem::path& path);

/// The checksum that a memory file with these tensors and this metadata must carry, its own field left out.
std::string memory_checksum(const formats::SafetensorsFile& file);

/// At least so many bytes is the file of a memory of one sequence that has read `position` tokens: its fast weights and
/// attention's windows (with the inner optimizer's momentum). For knowing that a disk is too small before the reading.
uint64_t least_file_bytes(const Network& model, int64_t position, MemoryForm form = MemoryForm::working);

/// Bytes of the tensors of a memory, as they are in RAM without spare room. The same after any number of tokens once
/// the window is full, up to the unfinished chunk.
uint64_t memory_bytes(const Memory& memory);

}  // namespace ingrain::ttt
