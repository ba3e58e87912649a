#include "data/corpus.h"

#include "base/error.h"
#include "base/file_kind.h"
#include "base/text.h"

#include <algorithm>
#include <limits>

namespace ingrain::data {
namespace {

constexpr uint32_t kMaxId = static_cast<uint32_t>(std::numeric_limits<int32_t>::max());

bool is_shard(const std::filesystem::path& path) {
  const MappedFile file(path);
  return file.bytes().starts_with("INGRTOKS");
}

/// Whether a raw file of tokens is text that was given by mistake: ids have bytes that texts do not.
bool looks_like_text(const std::filesystem::path& path) {
  const MappedFile file(path);
  const std::string_view start = file.bytes().substr(0, 4096);
  constexpr size_t kEnough = 64;
  const auto of_text = [](char c) {
    const auto byte = static_cast<uint8_t>(c);
    const bool never_in_utf8 = byte == 0xC0 || byte == 0xC1 || byte >= 0xF5;
    return (byte >= ' ' && !never_in_utf8) || (c >= '\t' && c <= '\r') || c == '\x1b';
  };
  return start.size() >= kEnough && std::all_of(start.begin(), start.end(), of_text);
}

/// The shard must be the one that the manifest lists, made with the same tokenizer.
void check_shard(const ShardFile& shard, const Manifest& manifest, const Manifest::Shard& listed) {
  const ShardInfo& info = shard.info();
  const auto same = [&](const char* field, uint64_t here, uint64_t there) {
    require(here == there,
            "{}: header field '{}' is {}, the manifest says {}; the folder mixes two preparations: prepare again",
            shard.path().string(), field, here, there);
  };
  same("tokens", info.tokens, listed.tokens);
  same("documents", info.documents, listed.documents);
  same("checksum", info.checksum, listed.checksum);
  same("vocab_size", info.vocab_size, manifest.vocab_size);
  same("bos", info.bos, manifest.bos);
  same("tokenizer", info.tokenizer, manifest.tokenizer);
}

}  // namespace

Corpus Corpus::open(const std::filesystem::path& path, TokenType raw_type) {
  Corpus corpus;
  corpus.path_ = path;
  if (std::filesystem::is_directory(path)) {
    corpus.manifest_ = read_manifest(path / kManifestName);
    for (const Manifest::Shard& listed : corpus.manifest_->shards) {
      check_shard(corpus.shards_.emplace_back(path / listed.file), *corpus.manifest_, listed);
    }
  } else if (is_shard(path)) {
    corpus.shards_.emplace_back(path);
  } else {
    require(path.extension() != ".tokens", "{}: no token shard; 'ingrain data prepare' makes them", path.string());
    const bool other_kind = !kind_of_file(path).empty();  // said below
    require(other_kind || !looks_like_text(path), "{}: is text, no tokens; 'ingrain data prepare' makes tokens of it",
            path.string());
    corpus.raw_.emplace(path, raw_type);
    corpus.add_part(corpus.raw_->tokens());
    corpus.vocab_size_ = kMaxId;
  }
  for (const ShardFile& shard : corpus.shards_) {
    corpus.add_part(shard.tokens());
    corpus.vocab_size_ = shard.info().vocab_size;
  }
  return corpus;
}

void Corpus::add_part(TokenSpan tokens) {
  begins_.push_back(size_);
  parts_.push_back(tokens);
  size_ += tokens.size();
}

void Corpus::read(uint64_t begin, uint64_t count, int32_t* out) const {
  size_t part = static_cast<size_t>(std::upper_bound(begins_.begin(), begins_.end(), begin) - begins_.begin()) - 1;
  while (count > 0) {
    const uint64_t from = begin - begins_[part];
    const uint64_t here = std::min(count, parts_[part].size() - from);
    const TokenSpan tokens = parts_[part].part(from, here);
    const uint64_t bad = tokens.copy_to(out, vocab_size_);
    require(bad == here, "{}: token {} is {}, beyond the vocabulary of {}; run 'ingrain data verify' on it",
            path_.string(), begin + bad, bad < here ? tokens[bad] : 0, vocab_size_);
    out += here, begin += here, count -= here;
    ++part;
  }
}

}  // namespace ingrain::data
