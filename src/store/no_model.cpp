#include "store/no_model.h"

#include "base/error.h"
#include "base/file_kind.h"
#include "base/text.h"
#include "base/unfinished.h"
#include "store/gguf_folder.h"

#include <string>
#include <system_error>

namespace ingrain {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModelIs = "a model is a folder with config.json and model.safetensors, or a .gguf file";

bool is_weights(const fs::path& file) {
  const std::string name = file.filename().string();
  return name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json");
}

}  // namespace

void fail_no_model(const fs::path& path) {
  std::error_code error;
  const std::string shown = printable(path.string(), 4096);
  const fs::path folder = folder_of(path);
  const fs::file_type there = fs::status(path, error).type();
  if (there == fs::file_type::not_found || there == fs::file_type::none) fail("{}: no such model; {}", shown, kModelIs);
  if (const auto ggufs = ggufs_of(path); !ggufs.empty()) {
    std::string names;
    for (const fs::path& file : ggufs) names += (names.empty() ? "" : ", ") + printable(file.filename().string());
    fail("{}: a folder of GGUF files, each a model by itself; give the file: {}", shown, names);
  }
  const std::string_view kind = kind_of_file(path);
  if (there == fs::file_type::directory && !kind.empty()) fail("{}: {}, not a model; {}", shown, kind, kModelIs);
  if (there == fs::file_type::directory) fail("{}: no model lies in this folder; {}", shown, kModelIs);
  if (there != fs::file_type::regular) fail("{}: no file or folder but a device, FIFO or socket; {}", shown, kModelIs);
  if (is_weights(path)) {
    const bool whole = fs::exists(folder / "config.json", error);
    fail("{}: the weights of a model, not the model; give the folder {}{}", shown, printable(folder.string(), 4096),
         whole ? "" : ", with the config.json that belongs to them in it");
  }
  if (fs::exists(folder / "config.json", error))
    fail("{}: a file of a model, not the model; give the folder {}", shown, printable(folder.string(), 4096));
  if (path.extension() == ".gguf")
    fail("{}: no GGUF file, although it is called one: its first bytes are others; fetch it again", shown);
  if (!kind.empty()) fail("{}: {}, not a model; {}", shown, kind, kModelIs);
  fail("{}: a file that is no model; {}", shown, kModelIs);
}

}  // namespace ingrain
