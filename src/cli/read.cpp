#include "cli/commands.h"
#include "cli/file_options.h"
#include "cli/model_options.h"
#include "cli/notes.h"
#include "cli/ranges.h"

#include "base/counted.h"
#include "base/error.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/mean_text.h"
#include "base/progress.h"
#include "base/text.h"
#include "base/unfinished.h"
#include "data/documents.h"
#include "ingrain/reader.h"
#include "ingrain/score.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdio>

namespace ingrain::cli {
namespace {

constexpr uint64_t kMaxTextBytes = uint64_t{1} << 30;

struct ReadCommand {
  ModelOptions model;
  std::vector<std::string> files;
  std::string output, memory;
  FileOptions choice;
  data::DocumentOptions documents;
  int64_t limit = 0;
  bool no_learning = false, compact = false, as_json = false, special = false, no_notes = false;
};

/// A file's text and where its tokens are among those of all.
struct ReadDocument {
  std::string name, text;
  size_t header = 0;  // bytes of the line that stands before it
  size_t first = 0, tokens = 0;
};

struct Collected {
  std::vector<int32_t> tokens;
  int64_t documents = 0;
  data::BadLines bad;
  std::vector<ReadDocument> noted;  // none with --no-notes
};

/// The tokens of all documents, one after the other; a file of several that is one document has its name before it.
Collected collect(const ReadCommand& o, const Model& model, const std::vector<data::Source>& sources) {
  Collected out;
  const size_t most = o.limit > 0 ? static_cast<size_t>(o.limit) : SIZE_MAX;
  for (const data::Source& source : sources) {
    const std::string header = sources.size() > 1 && !source.jsonl ? data::reading_header(source.path) : "";
    int64_t number = 0;
    data::for_each_document(source, o.documents, out.bad, [&](std::string_view document, uint64_t) {
      ++number;
      if (document.empty()) return true;
      std::string text = header + std::string(document);
      const auto tokens = model.encode_document(text, o.special);
      if (tokens.size() > 1) warn_of_double_bos(model, tokens[1]);
      if (!o.no_notes)
        out.noted.push_back(
            {data::document_name(source, number), std::move(text), header.size(), out.tokens.size(), tokens.size()});
      out.tokens.insert(out.tokens.end(), tokens.begin(), tokens.end());
      ++out.documents;
      return out.tokens.size() < most && !interrupted();
    });
    if (out.tokens.size() >= most || interrupted()) break;
  }
  stop_if_interrupted("stopped before anything was read; nothing was written");
  require(!out.tokens.empty() || out.bad.count == 0, "{}: no line of it can be read; the first: {}", o.files[0],
          out.bad.first);
  require(!out.tokens.empty(), "{}: empty; there is nothing to read", o.files[0]);
  out.tokens.resize(std::min(out.tokens.size(), most));
  return out;
}

/// Notes of what was read: of a document that a limit or a signal cut, its beginning.
void take_notes(serve::Notepad& notes, const std::vector<ReadDocument>& documents, std::span<const int32_t> read,
                const Model& model) {
  for (const ReadDocument& document : documents) {
    if (document.first >= read.size()) break;
    std::string_view text = document.text;
    if (read.size() - document.first < document.tokens) {
      std::vector<int32_t> part(read.begin() + static_cast<std::ptrdiff_t>(document.first), read.end());
      if (const auto bos = model.begin_of_text()) std::erase(part, *bos);
      text = text.substr(0, model.decode(part, /*with_special=*/true).size());
    }
    if (text.size() > document.header) notes.add("", document.name, text.substr(document.header));
  }
}

struct Read {
  Reading reading;
  double mean_nll = 0, seconds = 0;
};

Read read_tokens(const ReadCommand& o, const std::vector<int32_t>& tokens, Memory& memory) {
  Progress progress("reading", tokens.size(), "tokens");
  const auto keep_going = [&](int64_t done) {
    progress.update(static_cast<uint64_t>(done));
    return !interrupted();
  };
  const int64_t unscored = memory.position() == 0 ? 1 : 0;
  const auto start = std::chrono::steady_clock::now();
  Read out;
  out.reading = Reader(memory, {.learn = !o.no_learning, .keep_going = keep_going}).read(tokens);
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto read = std::span(tokens).first(out.reading.nll.size());
  out.mean_nll = score(memory.model(), read, out.reading.nll, unscored).mean_nll;
  return out;
}

void print(const ReadCommand& o, const Memory& memory, const data::FileList& list, const Collected& collected,
           const Read& done, int64_t passages) {
  const auto given = static_cast<int64_t>(collected.tokens.size());
  const uint64_t bytes = std::filesystem::file_size(o.output);
  const int64_t read = done.reading.tokens;
  const double rate = static_cast<double>(read) / done.seconds;
  if (o.as_json) {
    nlohmann::json root{{"memory", o.output},
                        {"bytes", bytes},
                        {"position", memory.position()},
                        {"steps", memory.steps()},
                        {"files", list.files.size()},
                        {"skipped", list.files_left_out()},
                        {"documents", collected.documents},
                        {"bad_lines", collected.bad.count},
                        {"tokens_read", read},
                        {"tokens_given", given},
                        {"mean_nll", done.mean_nll},
                        {"seconds", done.seconds},
                        {"tokens_per_second", rate}};
    if (!o.no_notes) {
      root["notes"] = serve::notes_file(o.output).string();
      root["passages"] = passages;
    }
    std::printf("%s\n", root.dump(2).c_str());
    return;
  }
  if (read < given)
    std::printf("stopped: %s of %s were read and are kept\n", with_commas(read).c_str(),
                counted(given, "token").c_str());
  if (!list.left_out.empty())
    std::printf("left out: %s (--verbose names them and says why)\n", data::count_left_out(list).c_str());
  if (collected.bad.count > 0)
    std::printf("left out: %s; the first: %s\n", counted(static_cast<int64_t>(collected.bad.count), "bad line").c_str(),
                collected.bad.first.c_str());
  std::printf("read %s in %s (%.0f tokens/s), mean loss %s nats a token\n", counted(read, "token").c_str(),
              format_duration(done.seconds).c_str(), rate, mean_text(done.mean_nll).c_str());
  std::printf("%s: %s in all, %s, %s\n", o.output.c_str(), counted(memory.position(), "token").c_str(),
              counted(memory.steps(), "inner step").c_str(), format_bytes(bytes).c_str());
  if (!o.no_notes)
    std::printf("%s: %s, for 'ask --notepad'\n", serve::notes_file(o.output).c_str(),
                counted(passages, "passage").c_str());
}

void read_command(ReadCommand& o) {
  o.documents.files.ignore = !o.choice.no_ignore;
  o.documents.files.standard_input = true;
  o.documents.max_document_bytes = kMaxTextBytes;
  watch_interrupts(o.choice.dry_run ? "nothing is read" : "nothing was read yet, and nothing is written");
  const data::SourceList found = data::find_sources({o.files.begin(), o.files.end()}, o.documents);
  const data::FileList& list = found.files;
  o.choice.tell(list);
  if (o.choice.dry_run) return;
  require_memory_writable(o.output, o.memory);  // known before hours of reading
  require_no_input(o.output, resolve_model(o.model.folder), list.files);
  if (!o.no_notes) require_notes_writable(o.output);
  const std::unique_ptr<serve::Notepad> notes = o.no_notes ? nullptr : notes_to_go_on(o.memory);
  const Model model = o.model.open();
  Memory memory = o.memory.empty() ? Memory(model) : Memory::load(o.memory, model);
  const Collected collected = collect(o, model, found.sources);
  const MemoryForm form = o.compact ? MemoryForm::compact : MemoryForm::working;
  require_space(o.output, memory.least_file_bytes(std::ssize(collected.tokens), form), "the memory");
  stop_if_interrupted("stopped before anything was read; nothing was written");
  announce_interrupts("what is read by the end of this segment is kept in the memory file");
  const Read done = read_tokens(o, collected.tokens, memory);
  const auto read = std::span(collected.tokens).first(done.reading.nll.size());
  if (notes) take_notes(*notes, collected.noted, read, model);
  save_with_notes(o.output, [&] {
    if (notes)
      save_notes(*notes, o.output);
    else
      carry_notes(o.memory, o.output);
    memory.save(o.output, form);
  });
  print(o, memory, list, collected, done, notes ? notes->passages("") : 0);
}

}  // namespace

void add_read_command(CLI::App& app) {
  auto* command = app.add_subcommand("read", "Read text and keep what was learnt from it as a memory file");
  auto o = std::make_shared<ReadCommand>();
  o->model.add_to(*command);
  command
      ->add_option(
          "FILES", o->files,
          "Files, folders, patterns in quotes, or - for standard input; .jsonl holds a document per line; .gz and "
          ".zst are expanded")
      ->required();
  CLI::Option* const output =
      command->add_option("-o,--output", o->output, "The memory file to write; with --dry-run none is needed")
          ->required();
  command->add_option("--memory", o->memory,
                      "Go on from this memory (it is not changed, unless it is also the output)");
  add_whole(*command, "--limit", o->limit, "Read at most N tokens", 1);
  add_document_options(*command, o->documents);
  o->choice.add_to(*command, {output});
  add_special_flag(*command, o->special);
  command->add_flag("--no-learning", o->no_learning, "Only fill the attention window");
  command->add_flag("--compact", o->compact,
                    "Write the compact form: rounded to bf16, half the size of an fp32 memory");
  command->add_flag("--no-notes", o->no_notes,
                    "Write no notes beside the memory (OUTPUT.notes: what was read as passages, for ask --notepad)");
  command->add_flag("--json", o->as_json, "Print JSON");
  command->footer(
      "Examples:\n  ingrain read models/reader-17m examples/data/emma.txt -o emma.memory\n"
      "  ingrain read models/reader-17m src 'docs/*.md' -o code.memory\n"
      "Ctrl-C stops after the current segment and keeps what was read.");
  command->callback([o] { read_command(*o); });
}

}  // namespace ingrain::cli
