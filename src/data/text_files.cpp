#include "data/text_files.h"

#include "base/counted.h"
#include "base/error.h"
#include "base/file_kind.h"
#include "base/interrupt.h"
#include "base/utf8.h"
#include "data/byte_reader.h"
#include "data/encoding.h"
#include "data/ignore_rules.h"
#include "data/json_line.h"

#include <glob.h>

#include <algorithm>
#include <string_view>

namespace ingrain::data {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSniffBytes = 8192;
constexpr std::string_view kGeneratedFolders[] = {"node_modules", "__pycache__", "build",  "dist",
                                                  "target",       "venv",        "vendor", "third_party"};
constexpr std::string_view kGeneratedEndings[] = {".lock", "-lock.json", ".min.js", ".min.css",
                                                  ".map",  ".svg",       ".ipynb",  ".sum"};

bool is_generated(const std::string& name, bool folder) {
  if (folder)
    return std::find(std::begin(kGeneratedFolders), std::end(kGeneratedFolders), name) != std::end(kGeneratedFolders);
  return std::any_of(std::begin(kGeneratedEndings), std::end(kGeneratedEndings),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

std::string head_of(const fs::path& path) {
  std::string head(kSniffBytes, '\0');
  head.resize(open_bytes(path)->read(head.data(), head.size()));
  return head;
}

/// Why a file that begins so cannot be read as it is meant; empty if it can.
std::string misread(const fs::path& path, const std::string& head, const FileRules& rules) {
  if (const std::string fault = not_text(head); !fault.empty()) return "cannot be read as text: " + fault;
  const bool json = fs::path(plain_name(path)).extension() == ".json";
  if (json && begins_array_of_documents(without_mark(head), rules.field))
    return std::string("cannot be read as documents: ") + kArray;
  return "";
}

/// Goes through one folder that was named.
class Walk {
 public:
  Walk(const FileRules& rules, FileList& out) : rules_(rules), out_(out) {}

  void folder(const fs::path& named) {
    std::error_code error;
    const fs::path absolute = fs::weakly_canonical(named, error);
    folder(named, absolute, rules_.ignore ? IgnoreRules::above(absolute) : IgnoreRules());
    std::sort(files_.begin(), files_.end());
    out_.files.insert(out_.files.end(), files_.begin(), files_.end());
  }

 private:
  /// `absolute` is the same folder as the ignore rules know it.
  void folder(const fs::path& path, const fs::path& absolute, IgnoreRules ignore) {
    stop_if_interrupted("stopped while files were looked for; nothing was read");
    if (rules_.ignore) ignore.enter(absolute);
    std::error_code error;
    std::vector<fs::directory_entry> entries;
    for (fs::directory_iterator at(path, error), end; !error && at != end; at.increment(error)) entries.push_back(*at);
    if (error) leave_out(path, "cannot be opened: " + error.message(), true, true);
    std::sort(entries.begin(), entries.end());
    for (const fs::directory_entry& entry : entries) {
      const fs::path in_absolute = absolute / entry.path().filename();
      std::error_code unknown;
      const bool is_folder = entry.is_directory(unknown), linked = entry.is_symlink(unknown);
      std::string why = reason(entry, in_absolute, is_folder, ignore);
      if (why.empty() && is_folder && linked) why = "a link to a folder, which may lead round in a circle";
      if (!why.empty())
        leave_out(entry.path(), why, is_folder, why.starts_with("leads") || why.starts_with("cannot"));
      else if (is_folder)
        folder(entry.path(), in_absolute, ignore);
      else if (entry.is_regular_file(unknown))
        files_.push_back(entry.path());
    }
  }

  /// Why something is not read; empty if it is.
  std::string reason(const fs::directory_entry& entry, const fs::path& absolute, bool is_folder,
                     const IgnoreRules& ignore) const {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.')) return "hidden";
    if (ignore.ignores(absolute, is_folder)) return "in .gitignore";
    if (rules_.ignore && is_generated(name, is_folder)) return "generated";
    if (is_folder) return "";
    std::error_code error;
    if (entry.is_symlink(error) && !fs::exists(entry.path(), error)) return "leads nowhere";
    if (!entry.is_regular_file(error)) return "no regular file";
    const std::string extension = fs::path(plain_name(entry.path())).extension().string();
    const bool wanted = std::any_of(rules_.extensions.begin(), rules_.extensions.end(),
                                    [&](const std::string& one) { return in_ascii_lower(one) == extension; });
    if (!rules_.extensions.empty() && !wanted) return "of another extension";
    try {
      const std::string head = head_of(entry.path());
      if (!kind_of_bytes(head).empty()) return "binary";
      const std::string why = misread(entry.path(), head, rules_);
      return why.empty() && head.find('\0') != head.npos ? "binary" : why;
    } catch (const Error& e) {
      return fmt::format("cannot be read ({})", e.what());
    }
  }

  void leave_out(const fs::path& path, std::string why, bool folder, bool trouble) {
    out_.left_out.push_back({path, std::move(why), folder, trouble});
  }

  const FileRules& rules_;
  FileList& out_;
  std::vector<fs::path> files_;
};

void add_path(const fs::path& path, const FileRules& rules, FileList& out) {
  if (fs::is_directory(path)) return Walk(rules, out).folder(path);
  if (fs::is_regular_file(path)) {
    const std::string why = misread(path, head_of(path), rules);
    require(why.empty(), "{}: {}", path.string(), why);
  }
  out.files.push_back(path);
}

void add_pattern(const std::string& pattern, const FileRules& rules, FileList& out) {
  glob_t found{};
  struct Free {
    glob_t* found;
    ~Free() { ::globfree(found); }
  } free{&found};
  require(::glob(pattern.c_str(), 0, nullptr, &found) == 0, "{}: there is no such file or folder", pattern);
  for (size_t i = 0; i < found.gl_pathc; ++i) add_path(found.gl_pathv[i], rules, out);
}

}  // namespace

uint64_t FileList::folders_left_out() const {
  return static_cast<uint64_t>(
      std::count_if(left_out.begin(), left_out.end(), [](const LeftOut& x) { return x.folder; }));
}

uint64_t FileList::files_left_out() const { return left_out.size() - folders_left_out(); }

FileList find_text_files(const std::vector<std::string>& inputs, const FileRules& rules) {
  FileList out;
  for (const std::string& input : inputs) {
    try {
      std::error_code error;
      if (rules.standard_input && input == "-")
        out.files.emplace_back(input);
      else if (fs::exists(fs::symlink_status(input, error)))
        add_path(input, rules, out);
      else
        add_pattern(input, rules, out);
    } catch (const fs::filesystem_error& e) {
      fail("{}: cannot read: {}", e.path1().string(), e.code().message());
    }
  }
  require(!out.files.empty(), "no text file was found in what was given{}{}",
          out.left_out.empty() ? "" : "; left out: " + count_left_out(out),
          out.left_out.empty() ? "" : " ('ingrain data prepare --dry-run' names them and says why)");
  return out;
}

std::string count_left_out(const FileList& list) {
  const auto files = static_cast<int64_t>(list.files_left_out()),
             folders = static_cast<int64_t>(list.folders_left_out());
  std::string out = files > 0 ? counted(files, "file") : "";
  if (folders > 0) out += (out.empty() ? "" : " and ") + counted(folders, "folder");
  return out;
}

std::string plain_name(const fs::path& path) {
  const fs::path name = in_ascii_lower(path.filename().string());
  return name.extension() == ".gz" || name.extension() == ".zst" ? name.stem().string() : name.string();
}

std::string reading_header(const fs::path& file) {
  return fmt::format("=== {} ===\n", file == "-" ? "standard input" : file.lexically_normal().generic_string());
}

}  // namespace ingrain::data
