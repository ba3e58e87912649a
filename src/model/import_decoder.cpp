#include "model/import_decoder.h"

#include "base/error.h"
#include "base/files.h"
#include "formats/chat_template_file.h"
#include "formats/gguf_tokenizer.h"
#include "model/assemble_weights.h"
#include "model/network.h"

namespace ingrain {
namespace {

namespace fs = std::filesystem;

void import_tokenizer(const fs::path& path, const fs::path& folder) {
  constexpr uint64_t kMaxBytes = 256 << 20;
  fs::create_directories(folder);
  if (formats::is_gguf(path)) {
    const formats::Gguf file(path);
    if (formats::has_gguf_tokenizer(file)) {
      const auto [tokenizer, config] = formats::gguf_tokenizer_files(file);
      write_file(folder / "tokenizer.json", tokenizer);
      write_file(folder / "tokenizer_config.json", config);
    }
  } else {
    for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
      if (fs::exists(path / name)) write_file(folder / name, read_file(path / name, kMaxBytes));
  }
  if (const auto chat = formats::find_chat_template(path)) write_file(folder / "chat_template.jinja", *chat);
}

}  // namespace

void import_decoder(const DecoderSource& source, const fs::path& path, const fs::path& folder, std::optional<at::ScalarType> store) {
  require(!fs::exists(folder) || !fs::equivalent(path, folder), "{}: is the model itself; choose another folder for the imported one",
          folder.string());
  import_tokenizer(path, folder);  // first: what is not supported shows before the long part
  const at::ScalarType type = store.value_or(source.type());
  const Weights weights = assemble_weights(source.config(), type, path, [&](const std::string& name) { return source.read(name); });
  save_model(folder, source.config(), weights, type);
}

}  // namespace ingrain
