#include "data/prepare.h"

#include "base/counted.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/unfinished.h"
#include "data/parts.h"
#include "data/random.h"

#include <atomic>
#include <exception>
#include <limits>
#include <thread>

namespace ingrain::data {
namespace {

namespace fs = std::filesystem;

constexpr size_t kGroupBytes = 4 << 20;
constexpr size_t kGroupDocuments = 4096;

/// Spreads documents over shards of bounded size.
class ShardSet {
 public:
  ShardSet(const fs::path& folder, const ShardInfo& info, uint64_t shard_tokens)
      : folder_(folder), info_(info), shard_tokens_(shard_tokens) {}

  void add(std::span<const int32_t> tokens) {
    if (writer_ && writer_->tokens() + tokens.size() > shard_tokens_) finish();
    if (!writer_) writer_.emplace(folder_ / name(), info_);
    writer_->add(tokens);
  }

  /// Commits the shard being written, if any.
  void finish() {
    if (!writer_) return;
    const ShardInfo done = writer_->commit();
    shards_.push_back({name(), done.tokens, done.documents, done.checksum});
    writer_.reset();
  }

  const std::vector<Manifest::Shard>& shards() const { return shards_; }

 private:
  std::string name() const { return fmt::format("shard-{:05}.tokens", shards_.size()); }

  fs::path folder_;
  ShardInfo info_;
  uint64_t shard_tokens_;
  std::optional<ShardWriter> writer_;
  std::vector<Manifest::Shard> shards_;
};

/// encode() of every text, on several threads, results in order. The first exception is thrown again here.
std::vector<std::vector<int32_t>> encode_all(const std::vector<std::string>& texts, const Encode& encode, int threads) {
  std::vector<std::vector<int32_t>> out(texts.size());
  std::atomic<size_t> next{0};
  std::vector<std::exception_ptr> errors(static_cast<size_t>(threads));
  const auto work = [&](size_t worker) {
    try {
      for (size_t i; (i = next++) < texts.size();) out[i] = encode(texts[i]);
    } catch (...) {
      errors[worker] = std::current_exception();
      next = texts.size();
    }
  };
  std::vector<std::jthread> pool;
  for (size_t worker = 1; worker < errors.size(); ++worker) pool.emplace_back(work, worker);
  work(0);
  pool.clear();  // joins
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return out;
}

/// The state of one call of prepare().
class Preparation {
 public:
  Preparation(const PrepareOptions& options, const Encode& encode,
              const std::function<bool(const PrepareProgress&)>& progress)
      : options_(options), encode_(encode), progress_(progress) {
    info_.vocab_size = options.vocab_size, info_.bos = options.bos, info_.tokenizer = options.tokenizer;
  }

  PrepareResult run() {
    require(options_.threads > 0 && options_.shard_tokens > 0, "threads and tokens per shard must be positive");
    require(!options_.part || !options_.shuffle_seed,
            "a part of a corpus cannot be shuffled: its documents' places are the whole's; training permutes sequences "
            "in any case");
    SourceList list = find_sources(options_.inputs, options_.documents);
    if (options_.part) list = part_of(std::move(list), *options_.part);
    state_.bytes_total = list.bytes;
    result_.files = std::move(list.files);
    for (const fs::path& input : options_.inputs) result_.manifest.sources.push_back(input.string());

    UnfinishedFolder folder(options_.part ? part_folder(options_.output, *options_.part) : options_.output);
    ShardSet shards(folder.path(), info_, options_.shard_tokens);
    if (options_.shuffle_seed) {
      const fs::path spool = folder.path() / "in-source-order";
      ShardSet in_order(folder.path(), info_, std::numeric_limits<uint64_t>::max());
      tokenize(list, in_order);
      in_order.finish();
      require(result_.documents > 0, "{}", nothing_found());
      fs::rename(folder.path() / in_order.shards()[0].file, spool);
      shuffle(ShardFile(spool), shards);
      fs::remove(spool);
    } else {
      tokenize(list, shards);
      require(result_.documents > 0, "{}", nothing_found());
    }
    shards.finish();
    finish_manifest(shards);
    write_manifest(folder.path() / kManifestName, result_.manifest);
    folder.commit();
    return std::move(result_);
  }

 private:
  /// Groups of documents are read, encoded in parallel, and given to `shards` in order.
  void tokenize(const SourceList& list, ShardSet& shards) {
    std::vector<std::string> group;
    size_t group_bytes = 0;
    uint64_t before = 0;
    const auto flush = [&](uint64_t bytes_done) {
      for (const auto& ids : encode_all(group, encode_, options_.threads)) add_document(ids, shards);
      group.clear(), group_bytes = 0;
      state_.bytes_done = bytes_done;
      report();
    };
    for (const Source& source : list.sources) {
      for_each_document(source, options_.documents, result_.bad_lines, [&](std::string_view text, uint64_t consumed) {
        group.emplace_back(text), group_bytes += text.size();
        result_.manifest.text_bytes += text.size();
        if (group_bytes >= kGroupBytes || group.size() >= kGroupDocuments) flush(before + consumed);
        return true;
      });
      before += source.bytes;
    }
    flush(before);
  }

  void add_document(const std::vector<int32_t>& ids, ShardSet& shards) {
    if (ids.empty()) {
      ++result_.empty_documents;
      return;
    }
    document_.assign(1, static_cast<int32_t>(options_.bos));
    document_.insert(document_.end(), ids.begin(), ids.end());
    shards.add(document_);
    result_.tokens += document_.size(), ++result_.documents;
    state_.tokens = result_.tokens, state_.documents = result_.documents;
  }

  void shuffle(const ShardFile& in_order, ShardSet& shards) {
    const uint64_t documents = in_order.info().documents;
    require(documents < std::numeric_limits<uint32_t>::max(), "more than 2^32 documents cannot be shuffled");
    SplitMix64 generator(*options_.shuffle_seed);
    state_.shuffling = true, state_.documents_total = documents;
    uint64_t moved = 0;
    for (const uint32_t index : generator.permutation(static_cast<uint32_t>(documents))) {
      const TokenSpan tokens = in_order.document(index);
      document_.resize(tokens.size());
      tokens.copy_to(document_.data(), options_.vocab_size);
      shards.add(document_);
      state_.documents = ++moved;
      if (moved % 1024 == 0) report();
    }
  }

  void report() {
    if (progress_ && !progress_(state_)) {
      throw Stopped(fmt::format("{}: stopped; nothing was left behind", options_.output.string()));
    }
  }

  std::string nothing_found() const {
    return fmt::format("no document with text was found in {}{}; nothing was written",
                       counted(std::ssize(result_.files.files), "file"),
                       result_.bad_lines.count > 0 ? " (first bad line: " + result_.bad_lines.first + ")" : "");
  }

  void finish_manifest(const ShardSet& shards) {
    Manifest& manifest = result_.manifest;
    manifest.vocab_size = options_.vocab_size;
    manifest.bos = options_.bos;
    manifest.tokenizer = options_.tokenizer;
    manifest.shuffle_seed = options_.shuffle_seed;
    manifest.part = options_.part;
    manifest.shards = shards.shards();
  }

  const PrepareOptions& options_;
  const Encode& encode_;
  const std::function<bool(const PrepareProgress&)>& progress_;
  ShardInfo info_;
  PrepareResult result_;
  PrepareProgress state_;
  std::vector<int32_t> document_;
};

}  // namespace

PrepareResult prepare(const PrepareOptions& options, const Encode& encode,
                      const std::function<bool(const PrepareProgress&)>& progress) {
  return Preparation(options, encode, progress).run();
}

}  // namespace ingrain::data
