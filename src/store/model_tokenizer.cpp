#include "store/model_tokenizer.h"

#include "base/allocator.h"
#include "base/error.h"
#include "base/files.h"
#include "chat/chat_template_file.h"
#include "tokenizer/gguf_tokenizer.h"

#include <algorithm>

namespace ingrain {

namespace fs = std::filesystem;

std::optional<tokenizer::Tokenizer> find_tokenizer(const fs::path& model, const ModelConfig& config) {
  std::optional<tokenizer::Tokenizer> tokenizer;
  fs::path file_of_it = model;
  const auto rows = static_cast<int32_t>(std::min<int64_t>(config.vocab_size, tokenizer::kMaxTokenId));
  if (formats::is_gguf(model)) {
    const formats::Gguf file(model);
    if (tokenizer::has_gguf_tokenizer(file)) tokenizer = tokenizer::gguf_tokenizer(file, rows);
  } else if (fs::exists(model / "tokenizer.json")) {
    tokenizer = tokenizer::Tokenizer::load(model, rows);
    file_of_it /= "tokenizer.json";
  }
  require(!tokenizer || tokenizer->vocab_size() <= static_cast<size_t>(config.vocab_size),
          "{}: this tokenizer has ids up to {}, the model only up to {}; it belongs to another model",
          file_of_it.string(), tokenizer ? tokenizer->vocab_size() - 1 : 0, config.vocab_size - 1);
  if (tokenizer) give_back_freed_memory();  // of the file's strings
  return tokenizer;
}

tokenizer::Tokenizer load_tokenizer(const fs::path& model, const ModelConfig& config) {
  auto found = find_tokenizer(model, config);
  require(found.has_value(), "{}: no tokenizer there; put the model's own tokenizer.json beside its weights",
          model.string());
  return *std::move(found);
}

void begin_text(const ModelConfig& config, std::vector<int32_t>& tokens) {
  if (config.bos_id >= 0) tokens.insert(tokens.begin(), static_cast<int32_t>(config.bos_id));
}

std::vector<int32_t> document_tokens(const ModelConfig& config, const tokenizer::Tokenizer& tokenizer,
                                     std::string_view text, bool parse_special) {
  std::vector<int32_t> tokens = tokenizer.encode(text, {.parse_special = parse_special});
  begin_text(config, tokens);
  return tokens;
}

void copy_tokenizer(const fs::path& from, const fs::path& folder) {
  constexpr uint64_t kMaxBytes = 256 << 20;
  fs::create_directories(folder);
  const bool file_alone = !formats::is_gguf(from) && !fs::is_directory(from);
  const fs::path beside = file_alone ? from.parent_path() : from;
  if (formats::is_gguf(from)) {
    const formats::Gguf file(from);
    if (tokenizer::has_gguf_tokenizer(file)) {
      const auto [tokenizer, config] = tokenizer::gguf_tokenizer_files(file);
      write_file(folder / "tokenizer.json", tokenizer);
      write_file(folder / "tokenizer_config.json", config);
    }
  } else {
    const fs::path tokenizer = file_alone ? from : from / "tokenizer.json";
    if (fs::exists(tokenizer)) write_file(folder / "tokenizer.json", read_file(tokenizer, kMaxBytes));
    for (const char* name : {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"})
      if (fs::exists(beside / name)) write_file(folder / name, read_file(beside / name, kMaxBytes));
  }
  if (const auto chat = chat::find_chat_template(beside)) write_file(folder / "chat_template.jinja", *chat);
}

}  // namespace ingrain
