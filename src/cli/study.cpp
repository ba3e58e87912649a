#include "cli/commands.h"
#include "cli/paths.h"

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "study/run.h"

#include <cstdio>

namespace ingrain::cli {
namespace {

namespace fs = std::filesystem;

struct StudyCommand {
  std::string file, scale, output;
  std::vector<std::string> set;
  bool report_only = false;
};

fs::path file_of(const StudyCommand& o) {
  if (o.file.empty() == o.scale.empty()) fail_usage("study needs STUDY.TOML or --scale NAME, and not both");
  if (!o.file.empty()) return o.file;
  const fs::path folder = project_folder() / "examples" / "study", file = folder / (o.scale + ".toml");
  if (fs::exists(file)) return file;
  std::string known;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(folder, missing))
    if (entry.path().extension() == ".toml") known += (known.empty() ? "" : ", ") + entry.path().stem().string();
  fail_usage("--scale: {} has no {}.toml; there are: {}", folder.string(), o.scale, known.empty() ? "none" : known);
}

void study_command(const StudyCommand& o) {
  const fs::path file = file_of(o);
  const fs::path output = o.output.empty() ? fs::path("ingrain-study-" + file.stem().string()) : fs::path(o.output);
  const study::StudyConfig config = study::load_study(file, o.set);
  for (const fs::path& needed : {config.train, config.held_out})
    require(fs::exists(needed), "{}: is not there; examples/study/corpus.sh makes the corpus of --scale tiny",
            needed.string());
  if (o.report_only) {
    require(fs::is_directory(output), "{}: no study is there; run it without --report", output.string());
    study::write_report(config, output);
  } else {
    watch_interrupts("what is done is kept; the same command goes on from it");
    const auto start = std::chrono::steady_clock::now();
    study::StudyOptions options;
    options.say = [&](const std::string& line) {
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      std::printf("[%s] %s\n", format_duration(seconds).c_str(), line.c_str());
      std::fflush(stdout);
    };
    study::run_study(config, output, options);
  }
  std::printf("%s\n", (output / "report.html").c_str());
}

}  // namespace

void add_study_command(CLI::App& app) {
  auto* command = app.add_subcommand("study", "Train rivals on the same tokens, measure them, write one report");
  auto o = std::make_shared<StudyCommand>();
  command->add_option("STUDY.TOML", o->file, "The rivals, what they share, and what is measured: docs/study.md");
  command->add_option("--scale", o->scale, "One of the project's own, examples/study/NAME.toml: tiny, night");
  command->add_option("--output", o->output, "Folder of models, measures and report (default: ingrain-study-NAME)");
  command->add_option("--set", o->set, "section.key=value: overrides a setting of the file; may be repeated")
      ->allow_extra_args(false);
  command->add_flag("--report", o->report_only, "Write the report of what is there; train and measure nothing");
  command->footer(
      "Example: ingrain study --scale tiny\n"
      "Ctrl-C keeps what is done; the same command goes on from it.");
  command->callback([o] { study_command(*o); });
}

}  // namespace ingrain::cli
