#include "store/hub.h"

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "store/gguf_folder.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace ingrain {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHubPrefix = "hf:";
constexpr size_t kMostOfName = 96, kMostOfPath = 512;  // the hub's own limit for repositories

std::string from_environment(const char* name) {
  const char* const value = std::getenv(name);
  return value ? value : "";
}

/// One part of a path: neither empty nor hidden, nor one that leads elsewhere.
bool is_hub_word(std::string_view word) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  return !word.empty() && word[0] != '.' && word[0] != '-' && std::ranges::all_of(word, fits);
}

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> out{""};
  for (const char c : path) {
    if (c == '/')
      out.emplace_back();
    else
      out.back() += c;
  }
  return out;
}

bool is_hub_path(std::string_view path) {
  return path.size() <= kMostOfPath && std::ranges::all_of(split_path(path), is_hub_word);
}

/// "--" stands between ORG and NAME in the cache.
bool is_repository(std::string_view name) {
  return name.size() <= kMostOfName && is_hub_path(name) && name.find("--") == name.npos &&
         name.find("..") == name.npos;
}

[[noreturn]] void fail_not_there(const HubName& name, const std::string& what) {
  fail("hf:{}: {}; fetch it with '{}', or say with HF_HUB_CACHE or HF_HOME where it is", name.repository, what,
       name.download());
}

fs::path repository_folder(const HubName& name) {
  std::string folder = "models";
  for (const std::string& part : split_path(name.repository)) folder += "--" + part;
  return hub_cache() / folder;
}

std::vector<fs::path> names_in(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) out.push_back(entry.path());
  std::ranges::sort(out);
  return out;
}

fs::path snapshot_of(const HubName& name) {
  const fs::path repository = repository_folder(name);
  std::error_code none;
  if (!fs::is_directory(repository, none))
    fail_not_there(name, fmt::format("is not in the cache ({} is not there)", repository.string()));
  std::string commit = name.revision;
  const fs::path ref = repository / "refs" / name.revision;
  if (fs::is_regular_file(ref, none)) {
    constexpr uint64_t kMostOfCommit = 256;
    commit = read_file(ref, kMostOfCommit);
    while (!commit.empty() && (commit.back() == '\n' || commit.back() == '\r')) commit.pop_back();
    require(is_hub_word(commit), "{}: holds '{}', which is no commit; the cache is damaged: fetch it again with '{}'",
            ref.string(), printable(commit), name.download());
  } else if (const auto all = names_in(repository / "snapshots"); name.revision == "main" && all.size() == 1) {
    commit = all[0].filename().string();
  }
  const fs::path snapshot = repository / "snapshots" / commit;
  if (!fs::is_directory(snapshot, none))
    fail_not_there(
        name, fmt::format("its revision '{}' is not in the cache ({} is not there)", name.revision, snapshot.string()));
  return snapshot;
}

/// Split files by their first part.
std::vector<std::string> gguf_files_in(const fs::path& folder) {
  std::vector<std::string> out;
  for (const fs::path& path : ggufs_in(folder)) {
    std::string name = path.filename().string();
    // Pictures' and sounds' encoders are no models of text.
    if (!name.starts_with("mmproj")) out.push_back(std::move(name));
  }
  return out;
}

bool has_weights(const fs::path& folder) {
  return std::ranges::any_of(names_in(folder), [](const fs::path& path) { return path.extension() == ".safetensors"; });
}

}  // namespace

std::string HubName::download() const {
  return fmt::format("hf download {}{}{}", repository, file.empty() ? "" : " " + file,
                     revision == "main" ? "" : " --revision " + revision);
}

std::optional<HubName> parse_hub_name(std::string_view name) {
  if (!name.starts_with(kHubPrefix)) return std::nullopt;
  HubName out{"", "", "main"};
  std::string_view rest = name.substr(kHubPrefix.size());
  if (const size_t at = rest.find('@'); at != rest.npos) {
    out.revision = rest.substr(at + 1);
    rest = rest.substr(0, at);
  }
  const size_t first = rest.find('/'), second = first == rest.npos ? rest.npos : rest.find('/', first + 1);
  out.repository = rest.substr(0, second);
  if (second != rest.npos) out.file = rest.substr(second + 1);
  const bool sound =
      is_repository(out.repository) && is_hub_path(out.revision) && (second == rest.npos || is_hub_path(out.file));
  require(sound,
          "{}: no model of the hub is called that; names are hf:ORG/NAME, hf:ORG/NAME/FILE.gguf, and either with "
          "@REVISION behind it",
          printable(name, 200));
  return out;
}

fs::path hub_cache() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"})
    if (const std::string place = from_environment(name); !place.empty()) return place;
  if (const std::string home = from_environment("HF_HOME"); !home.empty()) return fs::path(home) / "hub";
  if (const std::string cache = from_environment("XDG_CACHE_HOME"); !cache.empty())
    return fs::path(cache) / "huggingface/hub";
  return fs::path(from_environment("HOME")) / ".cache/huggingface/hub";
}

fs::path hub_model(const HubName& name) {
  const fs::path snapshot = snapshot_of(name);
  std::error_code none;
  if (!name.file.empty()) {
    if (!fs::is_regular_file(snapshot / name.file, none))
      fail_not_there(name, fmt::format("has no file '{}' in the cache ({})", name.file, snapshot.string()));
    return snapshot / name.file;
  }
  if (fs::is_regular_file(snapshot / "config.json", none) && has_weights(snapshot)) return snapshot;
  const std::vector<std::string> files = gguf_files_in(snapshot);
  if (files.size() == 1) return snapshot / files[0];
  require(files.empty(), "hf:{}: holds several .gguf files; name one of them: hf:{}/FILE with one of {}",
          name.repository, name.repository, fmt::join(files, ", "));
  fail_not_there(name, fmt::format("holds neither a config.json with weights (.safetensors) nor a .gguf file in the "
                                   "cache ({})",
                                   snapshot.string()));
}

}  // namespace ingrain
