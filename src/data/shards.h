// Token shards: documents as tokens in one file that is mapped, never parsed. The layout, all little-endian:
//
//   bytes 0..127       header: see ShardHeader; the last 8 bytes are a checksum of the others
//   from 128           tokens, u16 or u32, document after document
//   next multiple of 64  u64 per document: the index of its first token
//
// Every document begins with the beginning-of-text id. docs/data.md describes the same for users.
#pragma once

#include "base/checksum.h"
#include "data/tokens.h"

#include <span>

namespace ingrain::data {

/// What a shard says about itself.
struct ShardInfo {
  TokenType type = TokenType::U16;
  uint64_t tokens = 0;
  uint64_t documents = 0;
  uint32_t vocab_size = 0;
  uint32_t bos = 0;
  uint64_t tokenizer = 0;  // tokenizer::Tokenizer::fingerprint(): shards of different tokenizers must not be mixed
  uint64_t checksum = 0;   // of the tokens' bytes
};

/// A shard opened read-only. Movable; any number of threads may read.
/// The constructor checks the header, its checksum, the file's size and the table of documents, and so costs
/// O(documents); the tokens are looked at by verify() alone. Error, naming file and field.
class ShardFile {
 public:
  explicit ShardFile(const std::filesystem::path& path);

  const ShardInfo& info() const { return info_; }
  const std::filesystem::path& path() const { return path_; }
  TokenSpan tokens() const { return tokens_; }
  /// The tokens of one document, bos included. REQUIRES: index < info().documents.
  TokenSpan document(uint64_t index) const;
  /// Reads everything: the tokens' checksum, every id below the vocabulary size, every document begins with
  /// bos.
  void verify() const;

 private:
  uint64_t document_begin(uint64_t index) const;

  std::filesystem::path path_;
  MappedFile file_;
  ShardInfo info_;
  TokenSpan tokens_;
  const uint8_t* document_table_ = nullptr;
};

/// Writes one shard: add() per document, then commit(). Destroyed before that, it leaves nothing behind.
/// Memory: 8 bytes per document. Not thread-safe.
class ShardWriter {
 public:
  /// vocab_size, bos and tokenizer of `info` are taken; the rest is counted. REQUIRES: bos < vocab_size.
  ShardWriter(const std::filesystem::path& path, const ShardInfo& info);

  /// One document, bos first. Error if it is empty, does not begin with bos, or holds an id beyond the
  /// vocabulary; the writer is of no use after that.
  void add(std::span<const int32_t> tokens);
  uint64_t tokens() const { return info_.tokens; }
  uint64_t documents() const { return starts_.size(); }
  /// Puts the file in place; returns what it says about itself.
  ShardInfo commit();

 private:
  void flush();

  AtomicFile file_;
  std::filesystem::path path_;
  ShardInfo info_;
  Checksum checksum_;
  std::vector<uint64_t> starts_;
  std::vector<uint8_t> buffer_;  // tokens not yet in the file: documents are small, writes should not be
};

}  // namespace ingrain::data
