// Prepared data as one long stream of tokens: a folder of shards with its manifest, one shard, or a raw file.
#pragma once

#include "data/shards.h"

#include <optional>
#include <string>

namespace ingrain::data {

/// One of several parts of the same sources: number 1 to `of`.
struct PartOf {
  uint64_t number = 1, of = 1;
  bool operator==(const PartOf&) const = default;
};

/// manifest.json of a prepared folder: which shards belong together, and where they came from.
struct Manifest {
  struct Shard {
    std::string file;  // a plain name in the same folder, or in one that lies in it: "part-00001-of-00008/NAME"
    uint64_t tokens = 0;
    uint64_t documents = 0;
    uint64_t checksum = 0;
  };
  uint32_t vocab_size = 0;
  uint32_t bos = 0;
  uint64_t tokenizer = 0;
  std::optional<uint64_t> shuffle_seed;  // none: documents in source order
  uint64_t text_bytes = 0;               // of the documents, before tokenization
  std::optional<PartOf> part;            // none: all that the sources hold
  std::vector<std::string> sources;
  std::vector<Shard> shards;
};

inline constexpr const char* kManifestName = "manifest.json";

/// Error, naming file and field, if anything is missing, mistyped or out of range.
Manifest read_manifest(const std::filesystem::path& path);
void write_manifest(const std::filesystem::path& path, const Manifest& manifest);

/// All tokens of a data set, end to end, mapped. Movable; any number of threads may read.
class Corpus {
 public:
  /// A folder with manifest.json, a shard, or a raw file (`raw_type` says of what; ignored otherwise).
  /// Error if a shard is missing or is not the one that the manifest describes.
  static Corpus open(const std::filesystem::path& path, TokenType raw_type = TokenType::U16);

  uint64_t size() const { return size_; }
  /// Every id is below this; int32's maximum for a raw file, which does not say.
  uint32_t vocab_size() const { return vocab_size_; }
  /// Empty for a raw file.
  const std::vector<ShardFile>& shards() const { return shards_; }
  const std::optional<Manifest>& manifest() const { return manifest_; }
  /// Copies tokens [begin, begin + count) to `out`. REQUIRES: they exist.
  /// Error if an id is beyond the vocabulary (the file is damaged, or raw and of another type).
  void read(uint64_t begin, uint64_t count, int32_t* out) const;
  const std::filesystem::path& path() const { return path_; }

 private:
  void add_part(TokenSpan tokens);

  std::filesystem::path path_;
  std::optional<Manifest> manifest_;
  std::vector<ShardFile> shards_;
  std::optional<RawTokenFile> raw_;
  std::vector<TokenSpan> parts_;
  std::vector<uint64_t> begins_;  // index of each part's first token in the stream
  uint64_t size_ = 0;
  uint32_t vocab_size_ = 0;
};

}  // namespace ingrain::data
