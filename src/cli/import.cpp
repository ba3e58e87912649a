#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/paths.h"
#include "cli/yes_or_no.h"
#include "cli/ranges.h"
#include "cli/warnings.h"

#include "base/error.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/open_files.h"
#include "base/progress.h"
#include "base/text.h"
#include "base/unfinished.h"
#include "model/parameters.h"
#include "store/hub.h"
#include "store/import_decoder.h"
#include "store/import_reference.h"
#include "store/model_files.h"
#include "store/model_tokenizer.h"
#include "store/no_model.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>

extern char** environ;

namespace ingrain::cli {
namespace {

namespace fs = std::filesystem;

/// A folder of its own under the system's for temporary files, removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "ingrain-XXXXXX").string();
    const bool made = ::mkdtemp(name.data()) != nullptr;
    require(made, "{}: cannot make a folder there: {}", name, std::strerror(errno));
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

bool is_orbax(const fs::path& folder) {
  return fs::exists(folder / "_CHECKPOINT_METADATA") || fs::exists(folder / "model_weights");
}

/// Runs a program, whose messages are its own. False if it fails; Error if it is not there.
bool run_program(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, argv[0], nullptr, nullptr, argv.data(), environ);
  require(error == 0, "{}: cannot run it: {}", words[0], std::strerror(error));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// Runs the Python converter, which installs what it needs into .venv on first use.
void flatten_orbax(const fs::path& source, const fs::path& target) {
  const fs::path root = project_folder(), script = root / "python/ingrain_convert/orbax.py";
  require(fs::exists(script), "{}: the converter for Orbax is not there; set INGRAIN_HOME to the project's folder",
          script.string());
  const fs::path own = root / ".venv/bin/python";
  std::vector<std::string> words{fs::exists(own) ? own.string() : "python3", script.string(), source.string(),
                                 target.string()};
  require(run_program(std::move(words)),
          "{}: the Orbax checkpoint was not converted; the converter's own message is above", source.string());
}

at::ScalarType store_type(const std::string& name, at::ScalarType source) {
  if (name == "source") return source;
  return name == "bf16" ? at::kBFloat16 : at::kFloat;
}

struct ImportOptions {
  std::string source, target, store = "source", config, tokenizer;
  bool force = false, download = false;
};

/// hf:ORG/NAME is where the hub's cache has it; with --download, huggingface_hub's own program fetches what is missing.
void find_source(ImportOptions& o) {
  const auto hub = parse_hub_name(o.source);
  if (!hub) return;
  if (o.download) {
    std::vector<std::string> words{"hf", "download", hub->repository};
    if (!hub->file.empty()) words.push_back(hub->file);
    if (hub->revision != "main") words.insert(words.end(), {"--revision", hub->revision});
    require(run_program(std::move(words)), "{}: '{}' failed; its own message is above", o.source, hub->download());
  }
  o.source = hub_model(*hub).string();
}

constexpr const char* kModelFiles[] = {"config.json", "model.safetensors", "adapter.safetensors", kGgufInFolder};

bool holds_model(const fs::path& folder) {
  std::error_code none;
  return std::any_of(std::begin(kModelFiles), std::end(kModelFiles),
                     [&](const char* file) { return fs::exists(folder / file, none); });
}

/// Ours already: what import makes, or train, or retrofit.
bool is_own_folder(const fs::path& folder) {
  if (!fs::is_regular_file(folder / "config.json")) return false;
  const nlohmann::json config = read_json(folder / "config.json", 16 << 20);
  return config.is_object() && config.value("model_type", nlohmann::json()) == "ingrain" && holds_model(folder) &&
         !fs::exists(folder / "params.safetensors");
}

/// Before anything is read: a source that needs no import, a model that would be overwritten.
void check_places(const ImportOptions& o) {
  std::error_code none;
  if (fs::exists(o.target, none) && fs::equivalent(o.source, o.target, none))
    fail_usage("{}: is the model itself; choose another folder for the imported one", o.target);
  if (is_own_folder(o.source))
    fail_usage("{}: is a model folder of ingrain's own: every command takes it as it is, and a copy is 'cp -r'",
               o.source);
  for (const char* file : kModelFiles) require_regular_or_absent(fs::path(o.target) / file);
  require_regular_or_absent(fs::path(o.target) / "tokenizer.json");
  if (o.force || !holds_model(o.target)) return;
  if (!::isatty(STDIN_FILENO) || !::isatty(STDERR_FILENO))
    fail_usage("{}: there is a model already; --force replaces it", o.target);
  std::fprintf(stderr, "%s: there is a model already. Replace it? [y/N] ", o.target.c_str());
  wait_readable(STDIN_FILENO, "standard input");
  std::string answer;
  std::getline(std::cin, answer);
  require(is_yes(answer), "{}: left as it is", o.target);
}

void print_result(const fs::path& target, const ModelConfig& config, const char* with) {
  std::printf("%s: %.1fM parameters%s%s\n", target.c_str(), static_cast<double>(parameter_count(config)) / 1e6, with,
              fs::exists(target / "tokenizer.json") ? "" : "; without a tokenizer: add a tokenizer.json to read text");
}

void put_tokenizer(const fs::path& file, const fs::path& target, bool needed) {
  require(!needed || fs::exists(file), "{}: there is no such file", file.string());
  if (fs::exists(file)) write_file(target / "tokenizer.json", read_file(file, 64 << 20));
}

void import_reference(const ImportOptions& o) {
  const fs::path source(o.source), target(o.target);
  if (!fs::is_directory(source)) fail_no_model(source);
  const fs::path config = o.config.empty() ? find_reference_config(source) : fs::path(o.config);
  TemporaryFolder flattened;
  if (is_orbax(source)) flatten_orbax(source, flattened.path());
  const ReferenceCheckpoint checkpoint =
      load_reference_checkpoint(is_orbax(source) ? flattened.path() : source, config);
  stop_if_interrupted(o.target + ": stopped; nothing was written");
  UnfinishedFolder made(target, /*may_hold_files=*/true);
  const at::ScalarType type = store_type(o.store, checkpoint.type);
  const uint64_t of_optimizer = checkpoint.optimizer ? 2 * sizeof(float) : 0;
  require_space(made.path(),
                static_cast<uint64_t>(parameter_count(checkpoint.config)) * (at::elementSize(type) + of_optimizer),
                "the model");
  save_model(made.path(), checkpoint.config, checkpoint.weights, type);
  if (checkpoint.optimizer) save_optimizer_state(made.path(), checkpoint.config, *checkpoint.optimizer);
  stop_if_interrupted(o.target + ": stopped; nothing was written");
  put_tokenizer(o.tokenizer.empty() ? source / "tokenizer.json" : fs::path(o.tokenizer), made.path(),
                !o.tokenizer.empty());
  made.commit();
  print_result(target, checkpoint.config, checkpoint.optimizer ? ", with the optimizer's state" : "");
}

/// Puts the model in place. One that is replaced may have had its weights in another file.
void put_in_place(UnfinishedFolder& made, const fs::path& target) {
  const bool whole_gguf = fs::exists(made.path() / kGgufInFolder);
  made.commit();
  fs::remove(target / (whole_gguf ? "model.safetensors" : kGgufInFolder));
}

/// " (did you mean ...?)": names beside a path that is not there.
std::string nearest_beside(const fs::path& path) {
  const fs::path whole = fs::absolute(path).lexically_normal();
  const fs::path wanted = whole.has_filename() ? whole : whole.parent_path();
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(wanted.parent_path(), none)) {
    names.push_back(entry.path().filename().string());
    if (names.size() == 1000) break;
  }
  return did_you_mean(wanted.filename().string(), names);
}

void import_model(ImportOptions o) {
  watch_interrupts("nothing is left behind");
  find_source(o);
  const auto stop = [&] { stop_if_interrupted(o.target + ": stopped; nothing was written"); };
  check_places(o);
  { const UnfinishedFolder probe(o.target, /*may_hold_files=*/true); }  // known before a large model is read
  if (!o.tokenizer.empty()) require(fs::is_regular_file(o.tokenizer), "{}: there is no such file", o.tokenizer);
  require(fs::exists(o.source), "{}: no such file or folder{}", printable(o.source, 4096), nearest_beside(o.source));
  require_no_memory(o.source);
  const fs::path source = gguf_in(o.source);
  const auto decoder = open_decoder(source);
  if (!decoder) return import_reference(o);
  if (!o.config.empty())
    fail_usage("--config is for checkpoints of the reference implementation; {} says itself what it is", o.source);
  const auto store = o.store == "source" ? std::nullopt : std::optional(store_type(o.store, at::kFloat));
  for (const std::string& note : decoder->notes()) std::fprintf(stderr, "%s: %s\n", o.source.c_str(), note.c_str());
  if (o.tokenizer.empty())
    if (const auto tokenizer = find_tokenizer(source, decoder->config())) say_warnings(*tokenizer);
  const int64_t weights = parameter_count(decoder->config());
  UnfinishedFolder made(o.target, /*may_hold_files=*/true);
  Progress progress("importing", static_cast<uint64_t>(weights), "weights");
  import_decoder(*decoder, source, made.path(), store, [&](int64_t done) {
    stop();
    progress.update(static_cast<uint64_t>(std::min(done, weights)));
  });
  progress.finish();
  if (!o.tokenizer.empty()) put_tokenizer(o.tokenizer, made.path(), true);
  stop();
  put_in_place(made, o.target);
  print_result(o.target, decoder->config(), "");
}

}  // namespace

void add_import_command(CLI::App& app) {
  auto* command = app.add_subcommand("import", "Turn another program's model into a model folder");
  auto o = std::make_shared<ImportOptions>();
  command
      ->add_option("SOURCE", o->source,
                   "A Hugging Face folder, hf:ORG/NAME of the hub's cache, a .gguf file, or a reference checkpoint's "
                   "folder")
      ->required();
  command->add_option("-o,--output", o->target, "The model folder to make")->required();
  command
      ->add_option("--store", o->store,
                   "Type of the stored weights (source: as in SOURCE; a .gguf file in less than 32 bits is kept whole)")
      ->check(one_of({"source", "fp32", "bf16"}))
      ->capture_default_str();
  command->add_option("--config", o->config,
                      "Reference checkpoints: their model.json or config.json (default: looked for there and above)");
  command->add_option("--tokenizer", o->tokenizer,
                      "A tokenizer.json to put beside the weights (default: SOURCE's own)");
  command->add_flag("--download", o->download, "With hf:ORG/NAME: let 'hf download' fetch what the cache lacks");
  command->add_flag("-f,--force", o->force, "Replace a model that is there already, without asking");
  command->footer(
      "Which models fit: docs/models.md.\n"
      "Examples:\n"
      "  ingrain import ~/Qwen2.5-0.5B-Instruct -o models/qwen --store bf16\n"
      "  ingrain import SmolLM2-135M-Instruct.Q4_1.gguf -o models/smollm2\n"
      "  ingrain import hf:Qwen/Qwen3-0.6B -o models/qwen3 --download\n"
      "  ingrain import ../shared/reference-17m -o models/reader-17m");
  command->callback([o] { import_model(*o); });
}

}  // namespace ingrain::cli
