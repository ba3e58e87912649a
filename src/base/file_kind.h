// What a file is by its first bytes: for errors about one that was given in another's place.
#pragma once

#include <filesystem>
#include <string_view>

namespace ingrain {

/// "a memory", "an SQLite database ...", "token shards", "a GGUF model", "the weights of a model", "a PDF", ... Empty
/// for text and for what is not known. `head`: some thousand bytes of its beginning, or all.
std::string_view kind_of_bytes(std::string_view head);

/// The same of a regular file, and of a folder by what is in it: "a model's folder", "a folder of token shards". Empty
/// for what cannot be opened.
std::string_view kind_of_file(const std::filesystem::path& path);

/// Error, such as "x.memory: a memory, not a tokenizer; REMEDY", if it is of a known kind.
void require_no_other_kind(const std::filesystem::path& path, std::string_view wanted, std::string_view remedy);

}  // namespace ingrain
