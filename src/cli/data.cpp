// ingrain data: text to token shards, and a look at what is in them.
#include "base/counted.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/unfinished.h"
#include "cli/commands.h"
#include "cli/warnings.h"
#include "cli/file_options.h"
#include "cli/ranges.h"
#include "data/parts.h"
#include "data/prepare.h"
#include "tokenizer/gguf_tokenizer.h"

#include <algorithm>
#include <cstdio>
#include <thread>

namespace ingrain::cli {
namespace {

using data::Corpus;
using tokenizer::Tokenizer;

struct PrepareArguments {
  data::PrepareOptions options;
  std::string tokenizer, part;
  std::optional<uint64_t> shuffle;
  std::optional<int64_t> bos;
  bool special_tokens = false;
  FileOptions files;
};

/// The id that begins a document: what the user says, else what the tokenizer says.
uint32_t choose_bos(const PrepareArguments& arguments, const Tokenizer& tokenizer) {
  const auto vocab_size = static_cast<int64_t>(tokenizer.vocab_size());
  if (arguments.bos) {
    if (*arguments.bos >= vocab_size) {
      fail_usage("--bos {} is not an id of a vocabulary of {}", *arguments.bos, vocab_size);
    }
    return static_cast<uint32_t>(*arguments.bos);
  }
  if (const auto bos = tokenizer.bos()) return static_cast<uint32_t>(*bos);
  fail_usage("{}: names no beginning-of-text token; say which id begins a document with --bos", arguments.tokenizer);
}

/// Without commas, as scripts take these.
std::string number_of(uint64_t number, std::string_view thing) {
  return fmt::format("{} {}", number, plural(static_cast<int64_t>(number), thing));
}

void print_summary(const data::PrepareOptions& options, const data::PrepareResult& result) {
  const double bytes_per_token = static_cast<double>(result.manifest.text_bytes) / static_cast<double>(result.tokens);
  const auto place = options.part ? data::part_folder(options.output, *options.part) : options.output;
  fmt::print("{}: {} in {} ({:.2f} bytes a token), {}\n", place.string(), number_of(result.tokens, "token"),
             number_of(result.documents, "document"), bytes_per_token,
             number_of(result.manifest.shards.size(), "shard"));
  if (!result.files.left_out.empty())
    fmt::print("  left out: {} (--verbose names them and says why)\n", data::count_left_out(result.files));
  if (result.bad_lines.count > 0)
    fmt::print("  left out: {}; the first: {}\n", number_of(result.bad_lines.count, "bad line"),
               result.bad_lines.first);
  if (result.empty_documents > 0) fmt::print("  left out: {}\n", number_of(result.empty_documents, "empty document"));
}

void run_prepare(PrepareArguments arguments) {
  data::PrepareOptions& options = arguments.options;
  options.documents.files.ignore = !arguments.files.no_ignore;
  if (!arguments.part.empty()) options.part = data::parse_part(arguments.part, "--part");
  if (options.part && arguments.shuffle)
    fail_usage("--part {} and --shuffle: a part's documents keep their order; training permutes sequences in any case",
               arguments.part);
  watch_interrupts(arguments.files.dry_run ? "nothing is read" : "nothing is left behind");
  if (arguments.files.dry_run) return arguments.files.tell(data::find_sources(options.inputs, options.documents).files);
  if (arguments.tokenizer.ends_with(".safetensors"))
    fail_usage("{}: the weights of a model, not its tokenizer; give its folder, {}", arguments.tokenizer,
               folder_of(arguments.tokenizer).string());
  const Tokenizer tokenizer = tokenizer::tokenizer_at(arguments.tokenizer);
  say_warnings(tokenizer);
  options.vocab_size = static_cast<uint32_t>(tokenizer.vocab_size());
  options.bos = choose_bos(arguments, tokenizer);
  options.tokenizer = tokenizer.fingerprint();
  options.shuffle_seed = arguments.shuffle;
  if (options.threads == 0) {
    options.threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  }
  const tokenizer::EncodeOptions encoding{.add_special_tokens = false, .parse_special = arguments.special_tokens};
  const auto encode = [&](std::string_view text) { return tokenizer.encode(text, encoding); };

  std::optional<Progress> bar;
  bool shuffling = false;
  const auto show = [&](const data::PrepareProgress& now) {
    if (!bar || now.shuffling != shuffling) {
      if (now.shuffling)
        bar.emplace("shuffling", now.documents_total, "documents");
      else
        bar.emplace("tokenizing", now.bytes_total / 1000, "kB");
      shuffling = now.shuffling;
    }
    bar->update(shuffling ? now.documents : now.bytes_done / 1000, number_of(now.tokens, "token"));
    return !interrupted();
  };
  const data::PrepareResult result = data::prepare(options, encode, show);
  bar.reset();
  arguments.files.tell(result.files);
  print_summary(options, result);
}

void add_prepare(CLI::App& parent) {
  auto* command = parent.add_subcommand("prepare", "Turn text files, folders and JSONL into token shards");
  auto arguments = std::make_shared<PrepareArguments>();
  data::PrepareOptions& options = arguments->options;
  options.threads = 0;
  command
      ->add_option("input", options.inputs,
                   "Files, folders or patterns in quotes; .jsonl holds a document per line; .gz and .zst are expanded")
      ->required();
  CLI::Option* const output =
      command->add_option("-o,--out", options.output, "Folder to make; with --dry-run none is needed")->required();
  CLI::Option* const tokenizer = command
                                     ->add_option("-t,--tokenizer", arguments->tokenizer,
                                                  "tokenizer.json, the folder of a model, or its .gguf file")
                                     ->required();
  add_document_options(*command, options.documents);
  arguments->files.add_to(*command, {output, tokenizer});
  add_whole(*command, "--shuffle", arguments->shuffle, "Put the documents in random order, by this seed", 0);
  command->add_option(
      "--part", arguments->part,
      "I/N: only this part of the files, as one of N runs, on any machine; 'data merge' makes them one");
  add_whole(*command, "--shard-tokens", options.shard_tokens, "A new shard begins before this many tokens are exceeded",
            1)
      ->capture_default_str();
  add_whole(*command, "--bos", arguments->bos, "Id that begins a document (default: the tokenizer's)", 0);
  add_whole(*command, "--threads", options.threads, "Threads that tokenize (default: one per processor)", 1, 1024);
  command->add_flag("--special-tokens", arguments->special_tokens,
                    "Special tokens written in the text become their ids (default: they are plain text)");
  command->footer(
      "Examples:\n"
      "  ingrain data prepare books/ --tokenizer models/reader-17m --out data/books\n"
      "  ingrain data prepare part-*.jsonl.zst --field content --shuffle 1 -t tokenizer.json -o data/web\n"
      "  ingrain data prepare crawl/ --part 3/64 -t tokenizer.json -o data/crawl\n\n"
      "Ctrl-C leaves nothing behind: the folder appears when it is complete.");
  command->callback([arguments] { run_prepare(*arguments); });
}

void add_merge(CLI::App& parent) {
  auto* command = parent.add_subcommand("merge", "Make the parts that 'prepare --part' wrote one, by a manifest");
  auto folder = std::make_shared<std::filesystem::path>();
  command->add_option("folder", *folder, "What --out named: holds part-00001-of-N and so on")->required();
  command->footer("Example:\n  ingrain data merge data/crawl");
  command->callback([folder] {
    const data::Manifest manifest = data::merge_parts(*folder);
    uint64_t tokens = 0, documents = 0;
    for (const auto& shard : manifest.shards) tokens += shard.tokens, documents += shard.documents;
    fmt::print("{}: {} in {}, {}\n", folder->string(), number_of(tokens, "token"), number_of(documents, "document"),
               number_of(manifest.shards.size(), "shard"));
  });
}

struct InspectArguments {
  std::vector<std::filesystem::path> paths;
  std::string type = "u16";
};

void print_info(const std::filesystem::path& path, data::TokenType raw_type) {
  const Corpus corpus = Corpus::open(path, raw_type);
  if (corpus.shards().empty()) {
    fmt::print("{}: {}, a raw file of {}\n", path.string(), number_of(corpus.size(), "token"),
               data::token_type_name(raw_type));
    return;
  }
  uint64_t documents = 0;
  for (const data::ShardFile& shard : corpus.shards()) documents += shard.info().documents;
  const data::ShardInfo& info = corpus.shards().front().info();
  fmt::print("{}: {} in {}\n", path.string(), number_of(corpus.size(), "token"), number_of(documents, "document"));
  fmt::print("  vocabulary {}, stored as {}; documents begin with id {}; tokenizer {:016x}\n", info.vocab_size,
             data::token_type_name(info.type), info.bos, info.tokenizer);
  if (const auto& manifest = corpus.manifest()) {
    fmt::print("  {}, from {} of text\n",
               manifest->shuffle_seed ? fmt::format("shuffled by seed {}", *manifest->shuffle_seed) : "in source order",
               number_of(manifest->text_bytes, "byte"));
  }
  const std::filesystem::path folder = std::filesystem::is_directory(path) ? path : path.parent_path();
  for (const data::ShardFile& shard : corpus.shards()) {
    fmt::print("  {}: {}, {}\n", shard.path().lexically_relative(folder).string(),
               number_of(shard.info().tokens, "token"), number_of(shard.info().documents, "document"));
  }
}

void verify_path(const std::filesystem::path& path) {
  const Corpus corpus = Corpus::open(path);
  require(!corpus.shards().empty(), "{}: a raw file has no checksums to verify; 'ingrain data prepare' makes shards",
          path.string());
  Progress bar("verifying", corpus.size(), "tokens");
  uint64_t done = 0;
  for (const data::ShardFile& shard : corpus.shards()) {
    stop_if_interrupted(path.string() + ": stopped");
    shard.verify();
    bar.update(done += shard.info().tokens);
  }
  bar.finish();
  fmt::print("{}: {} in {}, all whole\n", path.string(), number_of(corpus.size(), "token"),
             number_of(corpus.shards().size(), "shard"));
}

void add_info(CLI::App& parent) {
  auto* command = parent.add_subcommand("info", "Show what prepared data holds");
  auto arguments = std::make_shared<InspectArguments>();
  command->add_option("path", arguments->paths, "Folders with a manifest, shards, or raw files of tokens")->required();
  command->add_option("--token-type,--type", arguments->type, "Of raw files: u16 or u32")->capture_default_str();
  command->footer("Examples:\n  ingrain data info data/books\n  ingrain data info train.bin --type u16");
  command->callback([arguments] {
    const data::TokenType type = data::token_type_from_name(arguments->type);
    for (const auto& path : arguments->paths) print_info(path, type);
  });
}

void add_verify(CLI::App& parent) {
  auto* command = parent.add_subcommand("verify", "Read every token and check it against the checksums");
  auto arguments = std::make_shared<InspectArguments>();
  command->add_option("path", arguments->paths, "Folders with a manifest, or shards")->required();
  command->footer("Example:\n  ingrain data verify data/books");
  command->callback([arguments] {
    watch_interrupts("what was verified is told");
    for (const auto& path : arguments->paths) verify_path(path);
  });
}

}  // namespace

void add_data_command(CLI::App& app) {
  auto* command = app.add_subcommand("data", "Turn text into token shards; inspect and verify them");
  command->require_subcommand(1);
  add_prepare(*command);
  add_merge(*command);
  add_info(*command);
  add_verify(*command);
}

}  // namespace ingrain::cli
