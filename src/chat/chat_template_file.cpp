#include "chat/chat_template_file.h"

#include "base/files.h"
#include "base/json.h"
#include "base/json_fields.h"
#include "tokenizer/gguf_tokenizer.h"

namespace ingrain::chat {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxTemplate = 4 << 20, kMaxTokenizerConfig = 64 << 20;

std::optional<std::string> from_config(const fs::path& file) {
  const nlohmann::json document = read_json(file, kMaxTokenizerConfig);
  if (!document.is_object()) return std::nullopt;
  const Field config(document, file.string());
  const auto field = config.find("chat_template");
  if (!field) return std::nullopt;
  if (!field->json().is_array()) return field->string();
  for (const Field& named : field->elements())
    if (named.string("name") == "default") return named.string("template");
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
