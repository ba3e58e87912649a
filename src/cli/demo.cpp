#include "cli/commands.h"
#include "cli/ranges.h"
#include "cli/model_options.h"
#include "cli/paths.h"
#include "cli/writing_options.h"

#include "base/error.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/new_folder.h"
#include "base/mean_text.h"
#include "base/progress.h"
#include "base/text.h"
#include "base/unfinished.h"
#include "cli/demo_report.h"
#include "data/encoding.h"
#include "ingrain/generate.h"
#include "ingrain/reader.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace ingrain::cli {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPiece = 2048;    // tokens read in turn with and without learning; what is left is part of the last
constexpr int64_t kChartBin = 512;  // of the page
constexpr int64_t kTableBin = 1024;

struct DemoOptions {
  std::string model, text, output = "ingrain-demo";
  LoadOptions how;
  int64_t tokens = 32768;
  uint64_t seed = 1;
};

/// One of the two readers.
struct SideReader {
  Memory memory;
  bool learn;
  std::vector<float> nll = {};
  std::vector<Pace> paces = {};
  std::vector<uint64_t> bytes = {};

  void read(std::span<const int32_t> piece) {
    const auto start = std::chrono::steady_clock::now();
    const Reading reading = Reader(memory, {.learn = learn}).read(piece);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    nll.insert(nll.end(), reading.nll.begin(), reading.nll.end());
    paces.push_back({memory.position() - reading.tokens, memory.position(), seconds});
    bytes.push_back(memory.bytes());
  }
};

/// Reads piece by piece with both readers in turn, so that whatever else the machine does meets both.
void read_side_by_side(std::span<const int32_t> tokens, SideReader& on, SideReader& off) {
  Progress progress("reading with and without learning", 2 * tokens.size(), "tokens");
  uint64_t done = 0;
  while (!tokens.empty()) {
    const auto piece = tokens.first(tokens.size() < kPiece + kPiece / 2 ? tokens.size() : kPiece);
    tokens = tokens.subspan(piece.size());
    for (SideReader* reader : {&on, &off}) {
      reader->read(piece);
      progress.update(done += piece.size());
      stop_if_interrupted("stopped; nothing was kept");
    }
  }
}

/// The last `count` line ends' worth of the text that was read.
std::string last_lines(const std::string& text, int count) {
  size_t at = text.size();
  while (count-- > 0 && at != text.npos && at > 0) at = text.rfind('\n', at - 1);
  return text.substr(at == text.npos ? 0 : at + 1);
}

void print_figures(const DemoFigures& f, const SideReader& on, const SideReader& off) {
  std::printf("\nLoss by position\n%s\n",
              gain_chart(equal_bins(on.nll, kTableBin), equal_bins(off.nll, kTableBin)).c_str());
  std::printf("                          learning on   learning off\n");
  std::printf("  mean loss, nats a token   %9s      %9s\n", mean_text(f.on.mean_nll).c_str(),
              mean_text(f.off.mean_nll).c_str());
  if (f.on.bits_per_byte && f.off.bits_per_byte)
    std::printf("  bits a byte of text       %9.4f      %9.4f\n", *f.on.bits_per_byte, *f.off.bits_per_byte);
  const auto rows = costs(f);
  std::printf("\nCost of a token, with learning%s\n", rows.empty() ? ": too few tokens to tell" : "");
  for (const auto& [pace, bytes] : rows)
    std::printf("  tokens %7s - %-7s %7.0f tokens/s  %7.3f ms a token   memory %s bytes\n",
                with_commas(pace.begin).c_str(), with_commas(pace.end).c_str(), pace.tokens_per_second(),
                pace.ms_per_token(), with_commas(static_cast<int64_t>(bytes)).c_str());
}

/// Saves, loads and goes on writing: what a memory is for.
void continue_from_file(const Memory& read, const DemoOptions& o, DemoFigures& figures) {
  const fs::path file = fs::path(o.output) / "book.memory";
  read.save(file);
  figures.file_bytes = fs::file_size(file);
  std::printf("\nSaved to %s (%s), loaded, and continued:\n\n%s", file.c_str(),
              format_bytes(figures.file_bytes).c_str(), figures.before.c_str());
  Memory memory = Memory::load(file, read.model());
  GenerateOptions options;
  options.max_tokens = 120;
  options.sampling.temperature = 0.7;
  options.sampling.top_p = 0.9;
  options.sampling.seed = o.seed;
  const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  if (terminal) std::fputs("\033[1m", stdout);
  figures.continuation = generate(memory, options, show_text).text;
  std::printf("%s\n", terminal ? "\033[0m" : "");
}

void demo(DemoOptions o) {
  watch_interrupts("nothing is kept");
  if (o.model.empty()) o.model = (project_folder() / "models/reader-17m").string();
  if (o.text.empty()) o.text = (project_folder() / "examples/data/emma.txt").string();
  const NewFolder output(o.output, "name another with --output");
  for (const char* file : {"book.memory", "report.html"}) require_writable(fs::path(o.output) / file);

  const Model model = ModelOptions{o.model, o.how}.open();
  const std::string text = read_file(o.text, uint64_t{1} << 30);
  data::require_text(text, o.text);
  std::vector<int32_t> tokens = model.encode_document(text);
  require(tokens.size() >= 2, "{}: empty; there is nothing to read", o.text);
  tokens.resize(std::min(tokens.size(), static_cast<size_t>(o.tokens)));

  DemoFigures f;
  f.model = fs::path(o.model).filename().string();
  f.document = fs::path(o.text).stem().string();
  f.compute_type = model.dtype();
  if (model.device() != "cpu") f.compute_type += " on " + model.device();
  f.tokens = static_cast<int64_t>(tokens.size());
  f.chunk = model.chunk();
  std::printf("%s (%.1fM parameters) reads %s tokens of %s in %s, with learning and without.\n", f.model.c_str(),
              static_cast<double>(model.parameter_count()) / 1e6, with_commas(f.tokens).c_str(), f.document.c_str(),
              f.compute_type.c_str());
  std::fflush(stdout);

  require_space(fs::path(o.output) / "book.memory", Memory(model).least_file_bytes(f.tokens), "the memory");
  SideReader on{Memory(model), true}, off{Memory(model), false};
  read_side_by_side(tokens, on, off);
  f.on = score(model, tokens, on.nll, 1);
  f.off = score(model, tokens, off.nll, 1);
  f.on_bins = equal_bins(on.nll, kChartBin);
  f.off_bins = equal_bins(off.nll, kChartBin);
  // From the second piece on, every query's window is full.
  const size_t early = std::min<size_t>(1, on.paces.size() - 1);
  f.early = on.paces[early], f.early_bytes = on.bytes[early];
  f.late = on.paces.back(), f.late_bytes = on.bytes.back();
  f.before = last_lines(model.decode(std::span(tokens).last(std::min<size_t>(tokens.size(), 200))), 4);
  print_figures(f, on, off);
  continue_from_file(on.memory, o, f);
  const fs::path page = fs::path(o.output) / "report.html";
  write_file(page, demo_page(f));
  std::printf("\nThe figures and a chart: %s\n", page.c_str());
}

}  // namespace

void add_demo_command(CLI::App& app) {
  auto* command = app.add_subcommand("demo", "Watch a model learn a book while it reads it");
  auto o = std::make_shared<DemoOptions>();
  command->add_option("--model", o->model, "A model folder (default: models/reader-17m)");
  command->add_option("--text", o->text, "A text file (default: Emma, by Jane Austen)");
  add_whole(*command, "--tokens", o->tokens, "How much of it to read", 2, 1 << 30)->capture_default_str();
  add_compute_options(*command, o->how);
  command->add_option("--output", o->output, "Folder for the page and the memory file")->capture_default_str();
  add_whole(*command, "--seed", o->seed, "Of the text that is written at the end", 0)->capture_default_str();
  command->footer("Example: ingrain demo --text book.txt --tokens 100000");
  command->callback([o] { demo(*o); });
}

}  // namespace ingrain::cli
