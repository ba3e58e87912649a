#include "data/tokenizer_files.h"

#include "base/files.h"

namespace ingrain::data {

namespace fs = std::filesystem;

void copy_tokenizer(const fs::path& from, const fs::path& folder) {
  constexpr uint64_t kMaxBytes = uint64_t{1} << 30;
  const fs::path file = fs::is_directory(from) ? from / "tokenizer.json" : from;
  if (fs::exists(file)) write_file(folder / "tokenizer.json", read_file(file, kMaxBytes));
  for (const char* name : {"tokenizer_config.json", "chat_template.jinja"})
    if (const fs::path beside = file.parent_path() / name; fs::exists(beside)) write_file(folder / name, read_file(beside, kMaxBytes));
}

}  // namespace ingrain::data
