// From text to token shards: the work of `ingrain data prepare`.
#pragma once

#include "data/corpus.h"
#include "data/documents.h"

namespace ingrain::data {

/// Text to ids, without the beginning-of-text id. Called from several threads at once if threads > 1.
using Encode = std::function<std::vector<int32_t>(std::string_view)>;

struct PrepareOptions {
  std::vector<std::filesystem::path> inputs;
  std::filesystem::path output;  // a folder that does not exist yet, or is empty
  DocumentOptions documents;
  uint32_t vocab_size = 0;               // of the tokenizer
  uint32_t bos = 0;                      // goes before every document
  uint64_t tokenizer = 0;                // its fingerprint
  std::optional<uint64_t> shuffle_seed;  // none: documents stay in source order
  std::optional<PartOf> part;            // only this part of the sources (parts.h); not with shuffle_seed
  uint64_t shard_tokens = 100'000'000;   // a shard ends before it would exceed this; a document is never split
  int threads = 1;
};

struct PrepareProgress {
  uint64_t bytes_done = 0, bytes_total = 0;  // of the sources on disk
  uint64_t documents = 0, tokens = 0;
  bool shuffling = false;  // the second pass: now documents are counted against documents_total
  uint64_t documents_total = 0;
};

struct PrepareResult {
  Manifest manifest;
  uint64_t tokens = 0, documents = 0;
  FileList files;                // what was read, and what of folders was not
  BadLines bad_lines;            // left out, if the options say so
  uint64_t empty_documents = 0;  // without a single token: left out
};

/// Reads all inputs and writes OUTPUT/shard-00000.tokens, ... and OUTPUT/manifest.json. The same inputs,
/// tokenizer, seed and shard size give the same bytes, whatever the number of threads. Memory: a few
/// documents per thread and 8 bytes per document of a shard (of all shards when shuffling, which also needs
/// the tokens' space on disk twice). The folder appears under its name only when it is complete; on an error,
/// or when `progress` returns false, nothing is left behind. With a part, what is written goes into part_folder() of
/// the output, which may hold the others. Error as in documents.h and shards.h, or if the output folder is in use.
PrepareResult prepare(const PrepareOptions& options, const Encode& encode,
                      const std::function<bool(const PrepareProgress&)>& progress);

}  // namespace ingrain::data
