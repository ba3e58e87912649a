#include "cli/serve_settings.h"

#include "base/error.h"
#include "base/settings.h"
#include "base/utf8.h"
#include "cli/model_options.h"
#include "cli/ranges.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace ingrain::cli {
namespace {

// The same for an option and its line in a file.
constexpr int64_t kMost = int64_t{1} << 40, kMostConnections = 100'000;
constexpr double kMostTime = 1e9, kLeastLease = 1, kMostLease = 86400;

/// "--memory-budget" may be INGRAIN_SERVE_MEMORY_BUDGET.
std::string environment_name(const CLI::Option& option) {
  std::string out = in_ascii_upper(option.get_lnames().at(0));
  std::replace(out.begin(), out.end(), '-', '_');
  return "INGRAIN_SERVE_" + out;
}

}  // namespace

uint64_t parse_bytes(const std::string& text, const std::string& option) {
  double number = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  const std::string unit(read.ptr, end);
  const char* const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
  const auto* found = std::find(std::begin(units), std::end(units), unit);
  if (read.ec != std::errc() || !(number >= 0) || found == std::end(units))
    fail_usage("{} '{}' is no number of bytes, such as 512MiB or 2GiB", option, text);
  const double out = number * std::pow(1024.0, found - std::begin(units));
  if (out > 1e18) fail_usage("{} '{}' is more than any machine has", option, text);
  return static_cast<uint64_t>(out);
}

void ServeSettings::add_to(CLI::App& command) {
  command.add_option("MODEL", model,
                     "A model (default: models/smollm2-135m-reader if its base is there, else models/reader-17m)");
  add_compute_options(command, how);
  add_weights_option(command, how);
  add_step_delay_option(command, how);
  command.add_option("--name", name, "The model's name in the APIs (default: its folder's)");
  command.add_option("--alias", aliases, "Another name that clients may say (may be given several times)")
      ->allow_extra_args(false);
  command.add_option("--host", host, "The address to listen on; 0.0.0.0: all")->capture_default_str();
  add_whole(command, "--port", port, "0: any that is free", 0, 65535)->capture_default_str();
  command.add_option("--keys", keys, "A file of API keys, name:key or name:sha256 a line (or INGRAIN_API_KEYS)");
  command.add_option("--store", store,
                     "Where conversations and memories are kept: a folder, postgresql://..., or 'none': in RAM "
                     "(default: a folder of the user's state)");
  command
      .add_option("--memory-budget", memory_budget,
                  "Bytes of memories in RAM, in work or kept; the least recently used go to disk")
      ->capture_default_str();
  command.add_option("--disk-budget", disk_budget, "Bytes of memories on disk; 0: no limit")->capture_default_str();
  add_real(command, "--max-age", max_age, "Days after which unused states are dropped; 0: never", 0, kMostTime)
      ->capture_default_str();
  add_whole(command, "--max-tokens", max_tokens, "Of an answer whose request names no limit", 0, kMost)
      ->capture_default_str();
  add_whole(command, "--most-tokens", most_tokens, "Of any answer: who asks for more is refused; 0: no limit", 0, kMost)
      ->capture_default_str();
  add_whole(command, "--max-running", max_running, "Answers at once; more wait", 1, kMost)->capture_default_str();
  add_whole(command, "--max-waiting", max_waiting, "Answers that wait; more are told 503", 0, kMost)
      ->capture_default_str();
  add_whole(command, "--max-connections", max_connections, "Open connections; more are told 503", 1, kMostConnections)
      ->capture_default_str();
  command.add_option("--max-body", max_body, "Bytes of a request")->capture_default_str();
  add_whole(command, "--rate", rate, "Requests a minute of each key; 0: no limit", 0, kMost)->capture_default_str();
  add_whole(command, "--at-once", at_once, "Answers at once of each key; 0: no limit", 0, kMost)->capture_default_str();
  command.add_option("--allow-host", hosts, "A name that the Host header may say, such as ai.example.org; '*': any")
      ->allow_extra_args(false);
  command.add_option("--allow-origin", origins, "An origin whose pages may ask (CORS); '*': any")
      ->allow_extra_args(false);
  command.add_option("--log", log, "A file for the log of requests (default: standard error)");
  add_real(command, "--grace", grace, "Seconds that answers have to end in when the server is stopped", 0, kMostTime)
      ->capture_default_str();
  add_real(command, "--lease", lease, "Seconds after which others may go on with a lost server's conversations",
           kLeastLease, kMostLease)
      ->capture_default_str();
  command.add_option("--config", config, "A TOML file with these options under [serve]: memory-budget = \"2GiB\"");
  for (CLI::Option* option : command.get_options())
    if (!option->get_lnames().empty() && option->get_lnames()[0] != "help") option->envname(environment_name(*option));
}

void ServeSettings::read_config(const CLI::App& command) {
  if (config.empty()) return;
  SettingReader file(read_settings(config, {}), config);
  const auto given = [&](const char* option) { return command.get_option(option)->count() > 0; };
  const auto text = [&](const char* name, std::string& out) {
    std::string value;
    if (file.read(std::string("serve.") + name, value) && !given((std::string("--") + name).c_str())) out = value;
  };
  const auto list = [&](const char* name, std::vector<std::string>& out) {
    std::vector<std::string> value;
    if (file.read(std::string("serve.") + name, value) && !given((std::string("--") + name).c_str())) out = value;
  };
  const auto path = [&](const char* name, std::string& out) {
    std::filesystem::path value;
    if (file.read(std::string("serve.") + name, value) && !given((std::string("--") + name).c_str()))
      out = value.string();
  };
  const auto count = [&](const char* name, int64_t& out, int64_t least, int64_t greatest) {
    int64_t value = 0;
    if (file.read(std::string("serve.") + name, value, least, greatest) && !given((std::string("--") + name).c_str()))
      out = value;
  };
  const auto number = [&](const char* name, double& out, double least, double greatest) {
    double value = 0;
    if (file.read(std::string("serve.") + name, value, least, greatest) && !given((std::string("--") + name).c_str()))
      out = value;
  };
  std::string named;
  if (file.read("serve.model", named) && model.empty()) model = named;
  text("name", name), text("device", how.device), text("dtype", how.dtype), text("weights", how.weights);
  text("host", host), text("memory-budget", memory_budget), text("disk-budget", disk_budget);
  text("max-body", max_body), text("store", store);
  path("keys", keys), path("log", log);
  list("alias", aliases), list("allow-host", hosts), list("allow-origin", origins);
  number("max-age", max_age, 0, kMostTime), number("grace", grace, 0, kMostTime);
  number("lease", lease, kLeastLease, kMostLease);
  int64_t delay = how.step_delay.value_or(-1);
  count("step-delay", delay, 0, kMost);
  if (delay >= 0) how.step_delay = delay;
  count("port", port, 0, 65535), count("max-tokens", max_tokens, 0, kMost);
  count("most-tokens", most_tokens, 0, kMost);
  count("max-running", max_running, 1, kMost), count("max-waiting", max_waiting, 0, kMost);
  count("max-connections", max_connections, 1, kMostConnections), count("rate", rate, 0, kMost);
  count("at-once", at_once, 0, kMost);
  file.finish();
}

}  // namespace ingrain::cli
