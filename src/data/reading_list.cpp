#include "data/reading_list.h"

#include "base/error.h"
#include "data/byte_reader.h"

#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string_view>

namespace ingrain::data {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxFolderFile = 1 << 20;
constexpr size_t kProbeBytes = 8192;
constexpr size_t kPieceBytes = 1 << 16;
constexpr std::string_view kGeneratedFolders[] = {"node_modules", "__pycache__", "build",  "dist",
                                                  "target",       "venv",        "vendor", "third_party"};
constexpr std::string_view kGeneratedEndings[] = {".lock", "-lock.json", ".min.js", ".min.css",
                                                  ".map",  ".svg",       ".ipynb",  ".sum"};

bool is_generated_folder(const std::string& name) {
  return std::find(std::begin(kGeneratedFolders), std::end(kGeneratedFolders), name) != std::end(kGeneratedFolders);
}

bool wanted(const fs::path& path) {
  const std::string name = path.filename().string();
  if (name.starts_with('.')) return false;
  for (const std::string_view ending : kGeneratedEndings)
    if (name.ends_with(ending)) return false;
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  if (error || size == 0 || size > kMaxFolderFile) return false;
  std::array<char, kProbeBytes> start;
  std::ifstream in(path, std::ios::binary);
  in.read(start.data(), start.size());
  return std::memchr(start.data(), 0, static_cast<size_t>(in.gcount())) == nullptr;
}

void add_folder(const fs::path& folder, ReadingList& out) {
  std::vector<fs::path> paths;
  for (fs::recursive_directory_iterator at(folder); at != fs::recursive_directory_iterator(); ++at) {
    const std::string name = at->path().filename().string();
    if (at->is_directory()) {
      if (name.starts_with('.') || is_generated_folder(name)) at.disable_recursion_pending();
    } else if (at->is_regular_file()) {
      if (wanted(at->path()))
        paths.push_back(at->path());
      else
        ++out.skipped;
    }
  }
  std::sort(paths.begin(), paths.end());
  out.files.insert(out.files.end(), paths.begin(), paths.end());
}

void add_path(const fs::path& path, ReadingList& out) {
  if (fs::is_directory(path))
    add_folder(path, out);
  else
    out.files.push_back(path);
}

void add_pattern(const std::string& pattern, ReadingList& out) {
  glob_t found{};
  struct Free {
    glob_t* found;
    ~Free() { ::globfree(found); }
  } free{&found};
  require(::glob(pattern.c_str(), 0, nullptr, &found) == 0, "{}: there is no such file or folder", pattern);
  for (size_t i = 0; i < found.gl_pathc; ++i) add_path(found.gl_pathv[i], out);
}

std::string read_standard_input(uint64_t max_bytes) {
  std::string out;
  for (;;) {
    const size_t filled = out.size();
    out.resize(filled + kPieceBytes);
    const ssize_t n = ::read(STDIN_FILENO, out.data() + filled, kPieceBytes);
    out.resize(filled + static_cast<size_t>(std::max<ssize_t>(n, 0)));
    if (n < 0 && errno == EINTR) continue;
    require(n >= 0, "standard input: cannot read: {}", std::strerror(errno));
    if (n == 0) return out;
    require(out.size() <= max_bytes, "standard input: more than {} bytes", max_bytes);
  }
}

}  // namespace

ReadingList list_reading(const std::vector<std::string>& inputs) {
  ReadingList out;
  for (const std::string& input : inputs) {
    try {
      if (input == "-")
        out.files.emplace_back(input);
      else if (fs::exists(input))
        add_path(input, out);
      else
        add_pattern(input, out);
    } catch (const fs::filesystem_error& e) {
      fail("{}: cannot read: {}", e.path1().string(), e.code().message());
    }
  }
  require(!out.files.empty(),
          "no text was found in what was given ({} files were left out: hidden, binary, generated or over 1 MiB)",
          out.skipped);
  return out;
}

std::string read_listed(const fs::path& file, uint64_t max_bytes) {
  if (file == "-") return read_standard_input(max_bytes);
  const auto reader = open_bytes(file);
  std::string text;
  for (size_t n = kPieceBytes; n == kPieceBytes;) {
    const size_t filled = text.size();
    text.resize(filled + kPieceBytes);
    n = reader->read(text.data() + filled, kPieceBytes);
    text.resize(filled + n);
    require(text.size() <= max_bytes, "{}: more than {} bytes; split it", file.string(), max_bytes);
  }
  return text;
}

std::string reading_header(const fs::path& file) {
  return fmt::format("=== {} ===\n", file == "-" ? "standard input" : file.lexically_normal().generic_string());
}

}  // namespace ingrain::data
