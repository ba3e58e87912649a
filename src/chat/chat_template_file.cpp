#include "chat/chat_template_file.h"

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "tokenizer/gguf_tokenizer.h"

namespace ingrain::chat {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxTemplate = 4 << 20, kMaxTokenizerConfig = 64 << 20;

std::string text_of(const nlohmann::json& value, const fs::path& file) {
  require(value.is_string(), "{}: field 'chat_template' must be a text, or a list of texts with names", file.string());
  return value.get<std::string>();
}

std::optional<std::string> from_config(const fs::path& file) {
  const nlohmann::json config = read_json(file, kMaxTokenizerConfig);
  if (!config.is_object()) return std::nullopt;
  const auto field = config.find("chat_template");
  if (field == config.end() || field->is_null()) return std::nullopt;
  if (!field->is_array()) return text_of(*field, file);
  for (const nlohmann::json& named : *field)
    if (named.is_object() && named.value("name", nlohmann::json()) == "default" && named.contains("template"))
      return text_of(named["template"], file);
  return std::nullopt;
}

}  // namespace

std::optional<std::string> find_chat_template(const fs::path& model) {
  if (formats::is_gguf(model)) {
    const formats::Gguf file(model);
    const auto found = tokenizer::gguf_chat_template(file);
    return found ? std::optional<std::string>(*found) : std::nullopt;
  }
  if (const fs::path own = model / "chat_template.jinja"; fs::exists(own)) return read_file(own, kMaxTemplate);
  if (const fs::path config = model / "tokenizer_config.json"; fs::exists(config)) return from_config(config);
  return std::nullopt;
}

}  // namespace ingrain::chat
