// The log of a run: a file of JSON lines that only grows, flushed line by line.
#pragma once

#include "base/files.h"
#include "base/new_folder.h"
#include "train/trainer.h"

#include <cstdio>
#include <memory>

namespace ingrain::train {

class RunLog {
 public:
  /// Appends to the file after its first `keep_bytes` bytes; what lies beyond belongs to steps that will be done again.
  /// Error if it cannot be opened, or is a file of another kind.
  RunLog(const std::filesystem::path& path, uint64_t keep_bytes);

  /// One step: `seconds` it took, `counters` after it; `traffic` before it (null: one process) and after it.
  void step(const StepReport& report, const Counters& counters, double seconds,
            const distributed::Traffic* before = nullptr, const distributed::Traffic& after = {});
  void validation(const ValidationReport& report, int64_t step);
  uint64_t bytes() const { return bytes_; }

 private:
  void write(const nlohmann::json& line);

  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::filesystem::path path_;
  NewFolder folder_;
  std::unique_ptr<std::FILE, Close> file_;
  uint64_t bytes_ = 0;
};

}  // namespace ingrain::train
