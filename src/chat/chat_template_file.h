// Where models keep their chat templates.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace ingrain::chat {

/// The chat template of a model: a GGUF file's own, or for a folder chat_template.jinja or else the field
/// `chat_template` of tokenizer_config.json (of several named ones, "default"). Nothing if there is none.
/// Error naming file and field if what is there is no template.
std::optional<std::string> find_chat_template(const std::filesystem::path& model);

}  // namespace ingrain::chat
