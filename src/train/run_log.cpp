#include "train/run_log.h"

#include "base/error.h"
#include "base/open_files.h"
#include "base/unfinished.h"

#include <cmath>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace ingrain::train {
namespace {

using nlohmann::json;

/// JSON has no NaN: null stands for what is not finite.
json number(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }

/// Whether a file that is there is a run's log, or nothing yet: what else is given as one by mistake is not cut.
bool is_log(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string line(64 << 10, '\0');
  file.read(line.data(), static_cast<std::streamsize>(line.size()));
  line.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  const size_t end = line.find('\n');
  if (end == line.npos) return line.empty() || line.starts_with("{\"");  // one that a full disk cut
  const json first = json::parse(line.substr(0, end), nullptr, /*allow_exceptions=*/false);
  return first.is_object() && first.contains("step");
}

}  // namespace

RunLog::RunLog(const std::filesystem::path& path, uint64_t keep_bytes)
    : path_(path), folder_(folder_of(path), "choose another log.file than " + path.string()) {
  std::error_code error;
  require(!std::filesystem::is_regular_file(path, error) || is_log(path),
          "{}: is there already and is no log of a run; choose another log.file", path.string());
  const auto size = std::filesystem::file_size(path, error);
  bytes_ = error ? 0 : std::min<uint64_t>(size, keep_bytes);
  if (!error) std::filesystem::resize_file(path, bytes_, error);
  try {
    file_.reset(::fdopen(open_to_append(path), "ab"));
  } catch (const Error& e) {
    fail("{}; set log.file to a place for the log that can be written", e.what());
  }
}

void RunLog::write(const json& line) {
  const std::string text = line.dump() + "\n";
  const bool written =
      std::fwrite(text.data(), 1, text.size(), file_.get()) == text.size() && std::fflush(file_.get()) == 0;
  require(written, "{}: cannot write the log: {}", path_.string(), std::strerror(errno));
  bytes_ += text.size();
}

void RunLog::step(const StepReport& r, const Counters& counters, double seconds, const distributed::Traffic* before,
                  const distributed::Traffic& after) {
  json line{{"step", counters.step},
            {"loss", number(r.loss)},
            {"first_chunk_loss", number(r.first_loss)},
            {"last_chunk_loss", number(r.last_loss)},
            {"lr", r.lr},
            {"inner_rate", r.inner_rate},
            {"gradient_norm", number(r.gradient_norm)},
            {"inner_norm", number(r.inner_norm)},
            {"tokens", counters.tokens},
            {"tokens_per_second", number(static_cast<double>(r.tokens) / seconds)},
            {"seconds", seconds},
            {"skipped", counters.skipped}};
  if (before) {
    line["bytes_sent"] = after.bytes_sent - before->bytes_sent;
    line["communication_seconds"] = after.seconds - before->seconds;
  }
  write(line);
}

void RunLog::validation(const ValidationReport& r, int64_t step) {
  write({{"step", step},
         {"validation", r.name},
         {"tokens", r.tokens},
         {"loss_on", number(r.loss_on)},
         {"loss_off", number(r.loss_off)},
         {"not_finite_on", r.not_finite_on},
         {"not_finite_off", r.not_finite_off},
         {"position", r.position_P},
         {"loss_on_by_position", r.loss_on_P},
         {"loss_off_by_position", r.loss_off_P}});
}

}  // namespace ingrain::train
