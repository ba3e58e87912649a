// The files that make a model folder able to read text and to hold a conversation.
#pragma once

#include <filesystem>

namespace ingrain::data {

/// Copies tokenizer.json and what belongs to it (its settings, a chat template) from a folder, or from beside a file of
/// any name that becomes tokenizer.json. What is not there is left out.
void copy_tokenizer(const std::filesystem::path& from, const std::filesystem::path& folder);

}  // namespace ingrain::data
