// A study from beginning to end: every rival is trained, measured, and told of.
//
//   FOLDER/NAME/run      a rival's checkpoints and log
//   FOLDER/NAME/model    the trained model
//   FOLDER/NAME/*.json   its measures
//   FOLDER/report.json   all of it, and what it was made on
//   FOLDER/report.html   the same with charts
#pragma once

#include "study/config.h"

#include <functional>

namespace ingrain::study {

struct StudyOptions {
  std::function<void(const std::string&)> say;  // lines for people
};

/// Does what is not done yet, and writes the report after every rival, so that it can be read while the rest goes on.
/// Stopped if an interrupt (base/interrupt.h) comes; what is there is kept, and the next call goes on. Error on what
/// training and measures throw, and if FOLDER holds a model that was trained with other settings.
void run_study(const StudyConfig& study, const std::filesystem::path& folder, const StudyOptions& options);

/// The report of what is there, without training or measuring anything.
void write_report(const StudyConfig& study, const std::filesystem::path& folder);

}  // namespace ingrain::study
