// Models of the Hugging Face hub by their names, where huggingface_hub's cache has them. Nothing is fetched here.
//
//   models--ORG--NAME/refs/main                  the commit that "main" was when it was fetched
//   models--ORG--NAME/snapshots/COMMIT/FILE      a link to ../../blobs/CHECKSUM
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace ingrain {

/// "hf:ORG/NAME", perhaps with "@REVISION" (a branch, a tag, a commit), perhaps with "/FILE" of the repository before
/// that. Old models have no ORG.
struct HubName {
  std::string repository;  // "ORG/NAME"
  std::string file;        // empty: the model itself, or the only .gguf file
  std::string revision;    // "main" where none is said

  /// The command that fetches it.
  std::string download() const;
};

/// Nothing unless `name` begins with "hf:". Error for what no repository, file or revision is called: no name leads
/// out of the cache.
std::optional<HubName> parse_hub_name(std::string_view name);

/// HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub or ~/.cache/huggingface/hub: the
/// first that the environment names.
std::filesystem::path hub_cache();

/// Where a model lies: a folder, or a .gguf file. Error that names the place that was looked in, and the command that
/// would fetch it; or the .gguf files, where there are several.
std::filesystem::path hub_model(const HubName& name);

}  // namespace ingrain
