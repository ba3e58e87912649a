#include "study/run.h"

#include "base/counted.h"
#include "base/error.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/new_folder.h"
#include "bench/machine.h"
#include "study/kept.h"
#include "study/measure.h"
#include "study/report.h"
#include "tasks/book.h"
#include "train/run.h"

namespace ingrain::study {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uint64_t kMaxJson = uint64_t{1} << 28;

/// What a finished model must have been trained with to be the study's: all settings but where files lie.
json settings_of(const train::RunConfig& run) {
  json out = run.settings;
  for (const char* place : {"checkpoint.folder", "checkpoint.model", "data.train", "data.tokenizer", "train.device"})
    out.erase(place);
  return out;
}

void check_same_settings(const fs::path& file, const json& settings) {
  const json there = parse_json(read_file(file, kMaxJson), file.string());
  for (const auto& [key, value] : settings.items())
    require(there.contains(key) && there[key] == value,
            "{}: was trained with {} = {}, the study says {}; remove {} to train it anew, or choose another folder",
            file.string(), key, there.contains(key) ? there[key].dump() : "nothing", value.dump(),
            file.parent_path().string());
}

class Study {
 public:
  Study(const StudyConfig& study, fs::path folder, const StudyOptions& options)
      : study_(study), folder_(std::move(folder)), options_(options) {}

  void operator()() {
    for (const Rival& rival : study_.rivals) run_of(study_, rival, folder_ / rival.name);  // errors before the work
    if (study_.measures.facts > 0) check_book();
    for (const Rival& rival : study_.rivals) {
      train_rival(rival);
      write_report(study_, folder_);
    }
    for (const Rival& rival : study_.rivals) {
      measure_rival(study_, rival, folder_ / rival.name, options_.say);
      write_report(study_, folder_);
    }
  }

 private:
  void say(const std::string& line) const {
    if (options_.say) options_.say(line);
  }

  /// Facts can be hidden in it: known before the hours of training.
  void check_book() const {
    const tasks::Book book(read_file(study_.book, kMaxJson), study_.book.string());
    require(!book.paragraphs().empty(),
            "{}: has no paragraphs of 200 to 900 bytes, between which facts are hidden; name another book with "
            "study.book, or set measures.facts = 0",
            study_.book.string());
  }

  void train_rival(const Rival& rival) {
    const fs::path folder = folder_ / rival.name, settings = folder / "settings.json";
    const train::RunConfig run = run_of(study_, rival, folder);
    const json asked = settings_of(run);
    if (fs::exists(settings)) check_same_settings(settings, asked);
    if (fs::exists(folder / "model" / "model.safetensors") && fs::exists(settings)) return;
    const NewFolder made(folder, "choose another place for the study with --output");
    write_file(settings, asked.dump(1) + "\n");
    say(fmt::format("{}: training", rival.title));
    train::RunOptions how;
    how.resume = !train::list_checkpoints(run.checkpoint.folder).empty();
    how.interrupted = interrupted;
    how.say = [&](const std::string& line) { say(rival.title + ": " + line); };
    if (train::run_training(run, how) == train::RunEnd::interrupted) throw Stopped("stopped; run it again to go on");
  }

  const StudyConfig& study_;
  const fs::path folder_;
  const StudyOptions& options_;
};

}  // namespace

void run_study(const StudyConfig& study, const fs::path& folder, const StudyOptions& options) {
  const NewFolder made(folder, "name another with --output");
  Study(study, folder, options)();
}

}  // namespace ingrain::study
