#include "base/file_kind.h"

#include "base/error.h"

#include <algorithm>
#include <fstream>
#include <string>

namespace ingrain {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLooked = 64 << 10;  // bytes: a memory's first lines hold its model's configuration

struct Magic {
  std::string_view bytes, kind;
};
constexpr Magic kMagics[] = {
    {"INGRTOKS", "token shards"},
    {std::string_view("SQLite format 3\0", 16), "an SQLite database (so are the notes of a memory)"},
    {"%PDF-", "a PDF"},
    {"PK\x03\x04", "a ZIP archive (so are .docx, .xlsx, .epub and .npz)"},
    {"\177ELF", "a program"},
    {"\x89PNG", "a picture"},
    {"\xFF\xD8\xFF", "a picture"},
    {"\x93NUMPY", "an array of NumPy"},
    {"\x1F\x8B\x08", "compressed by gzip (what 'read' and 'data prepare' expand is named .gz)"},
    {"\x28\xB5\x2F\xFD", "compressed by zstd (what 'read' and 'data prepare' expand is named .zst)"},
    {std::string_view("\xFD\x37zXZ\0", 6), "compressed by xz (unxz expands it)"},
    {"7z\xBC\xAF\x27\x1C", "a 7-Zip archive"},
};

bool is_gguf(std::string_view head) {
  // A text may begin with the word, too.
  return head.size() >= 8 && head.starts_with("GGUF") && head[4] != 0 && head[6] == 0 && head[7] == 0;
}

/// A text may begin with its letters.
bool is_bzip2(std::string_view head) { return head.starts_with("BZh") && head.substr(4, 6) == "1AY&SY"; }

/// The header's length in eight bytes, and JSON.
bool is_safetensors(std::string_view head) {
  return head.size() > 8 && head.substr(5, 4) == std::string_view("\0\0\0{", 4);
}

}  // namespace

std::string_view kind_of_bytes(std::string_view head) {
  for (const Magic& magic : kMagics)
    if (head.starts_with(magic.bytes)) return magic.kind;
  if (is_gguf(head)) return "a GGUF model";
  if (is_bzip2(head)) return "compressed by bzip2 (bunzip2 expands it)";
  if (!is_safetensors(head)) return {};
  return head.find(R"("format":"ingrain-memory")") == head.npos ? "the weights of a model" : "a memory";
}

std::string_view kind_of_file(const fs::path& path) {
  std::error_code none;
  if (fs::is_directory(path, none)) {
    if (fs::exists(path / "config.json", none)) return "a model's folder";
    return fs::exists(path / "manifest.json", none) ? "a folder of token shards" : "";
  }
  if (!fs::is_regular_file(path, none)) return {};
  std::string head(kLooked, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return kind_of_bytes(head);
}

void require_no_other_kind(const fs::path& path, std::string_view wanted, std::string_view remedy) {
  const std::string_view kind = kind_of_file(path);
  require(kind.empty(), "{}: {}, not {}; {}", path.string(), kind, wanted, remedy);
}

}  // namespace ingrain
