// Options of `ingrain serve`: from the command line, the environment (INGRAIN_SERVE_*) and a TOML file, in this order.
#pragma once

#include "ingrain/model.h"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace ingrain::cli {

struct ServeSettings {
  std::string model, name, config;
  std::vector<std::string> aliases;
  LoadOptions how;
  std::string host = "127.0.0.1", keys, store, log;
  int64_t port = 8080;
  std::vector<std::string> hosts, origins;
  std::string memory_budget = "2GiB", disk_budget = "0", max_body = "64MiB";
  double max_age = 0;  // days
  int64_t max_tokens = 4096, most_tokens = 0, max_running = 64, max_waiting = 512, max_connections = 512;
  int64_t rate = 0, at_once = 0;
  double grace = 20, lease = 60;  // seconds

  void add_to(CLI::App& command);
  /// What neither the command line nor the environment says, from the file. Error naming file, line and remedy.
  void read_config(const CLI::App& command);
};

/// "512MiB", "2GiB", "1000000". UsageError naming `option`.
uint64_t parse_bytes(const std::string& text, const std::string& option);

}  // namespace ingrain::cli
