#include "cli/commands.h"
#include "cli/model_options.h"
#include "cli/paths.h"
#include "cli/serve_settings.h"

#include "base/allocator.h"
#include "base/error.h"
#include "base/file_kind.h"
#include "base/files.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "serve/http/server.h"
#include "serve/routes/service.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace ingrain::cli {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostKeyBytes = 1 << 20;
constexpr int kPools = 4;  // of memory: a thread for each connection shares them

fs::path served_model(const ServeSettings& o) {
  if (!o.model.empty()) return resolve_model(o.model);
  const auto models = project_folder() / "models";
  const bool fetched = fs::exists(models / "smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf");
  return models / (fetched ? "smollm2-135m-reader" : "reader-17m");
}

serve::api::ApiKeys read_keys(const ServeSettings& o) {
  if (!o.keys.empty()) {
    require_no_other_kind(o.keys, "a file of keys", "write lines name:key");
    auto out = serve::api::ApiKeys::parse(read_file(o.keys, kMostKeyBytes), o.keys);
    require(!out.empty(), "{}: holds no key; write a line name:key, or leave --keys out", o.keys);
    return out;
  }
  const char* environment = std::getenv("INGRAIN_API_KEYS");
  if (environment == nullptr) return {};
  std::string text = environment;
  for (char& c : text)
    if (c == ',' || c == ' ') c = '\n';
  return serve::api::ApiKeys::parse(text, "INGRAIN_API_KEYS");
}

/// Where records and tensors lie.
struct OpenStore {
  std::shared_ptr<serve::Records> records;
  fs::path folder;  // empty: nothing outlives the server
};

OpenStore open_store(const ServeSettings& o) {
  if (o.store == "none") return {serve::open_sqlite(":memory:"), {}};
  if (o.store.starts_with("postgresql://") || o.store.starts_with("postgres://"))
    fail_usage("--store '{}': the tensors need a shared folder, too: --store FOLDER=postgresql://user@host/database",
               printable(o.store.substr(0, 40)));
  std::string folder = o.store, url;
  if (const size_t at = o.store.find("=postgres"); at != std::string::npos) {
    folder = o.store.substr(0, at);
    url = o.store.substr(at + 1);
  }
  if (folder.empty()) {
    const fs::path state = state_folder();
    require(!state.empty(), "there is no home folder for what is kept; name one with --store, or --store none");
    folder = (state / "serve").string();
  }
  std::error_code error;
  fs::create_directories(folder, error);
  require(!error, "{}: cannot make this folder: {}; name another with --store", folder, error.message());
  fs::permissions(folder, fs::perms::owner_all, fs::perm_options::replace, error);  // conversations are private
  return {url.empty() ? serve::open_sqlite(fs::path(folder) / "records.sqlite") : serve::open_postgresql(url), folder};
}

serve::EngineOptions engine_options(const ServeSettings& o, const fs::path& folder) {
  serve::EngineOptions out;
  out.folder = folder.empty() ? folder : folder / "states";
  out.shared_folder = o.store.find("=postgres") != std::string::npos;
  out.memory_budget = parse_bytes(o.memory_budget, "--memory-budget");
  out.disk_budget = parse_bytes(o.disk_budget, "--disk-budget");
  out.max_age_seconds = o.max_age * 86400;
  out.max_running = o.max_running;
  out.max_waiting = o.max_waiting;
  out.on_idle = give_back_freed_memory;
  return out;
}

serve::HttpOptions http_options(const ServeSettings& o) {
  serve::HttpOptions out;
  out.address = o.host;
  out.port = static_cast<uint16_t>(o.port);
  out.hosts = o.hosts;
  out.origins = o.origins;
  out.max_body = parse_bytes(o.max_body, "--max-body");
  out.max_bodies = std::min(out.max_bodies, parse_bytes(o.memory_budget, "--memory-budget") / 4);
  out.max_connections = static_cast<int>(o.max_connections);
  return out;
}

serve::ServiceOptions service_options(const ServeSettings& o, const fs::path& model, const fs::path& folder) {
  serve::ServiceOptions out;
  out.model = o.name.empty() ? (model.has_filename() ? model.stem() : model.parent_path().filename()).string() : o.name;
  out.aliases = o.aliases;
  out.version = INGRAIN_SERVE_VERSION;
  if (o.most_tokens > 0) out.limits.longest = static_cast<double>(o.most_tokens);
  out.limits.max_tokens = std::min(o.max_tokens, static_cast<int64_t>(out.limits.longest));
  out.requests_per_minute = o.rate;
  out.answers_at_once = o.at_once;
  out.lease_seconds = o.lease;
  out.log = o.log;
  out.scratch = folder.empty() ? fs::temp_directory_path() / "ingrain-serve" : folder / "scratch";
  if (!folder.empty()) out.notes = folder / "notes";
  return out;
}

bool is_local(const std::string& host) { return host == "127.0.0.1" || host == "::1" || host == "localhost"; }

void say_started(const ServeSettings& o, const serve::ServiceOptions& options, uint16_t port, bool keys,
                 const fs::path& folder) {
  const std::string shown = o.host == "0.0.0.0" || o.host == "::" ? "127.0.0.1" : o.host;
  const std::string url = fmt::format("http://{}:{}", shown.find(':') == shown.npos ? shown : "[" + shown + "]", port);
  if (!keys && !is_local(o.host))
    fmt::print(stderr, "ingrain: warning: anybody who reaches {} may use this server: no API keys (--keys FILE)\n",
               o.host);
  fmt::print(stderr, "ingrain: {} at {} (OpenAI's API at {}/v1{}); {}\n", options.model, url, url,
             keys ? ", with an API key" : "", folder.empty() ? "nothing is kept" : "kept in " + folder.string());
  fmt::print(stderr,
             "  curl {}/v1/responses -H 'Content-Type: application/json'{} -d '{{\"input\": \"Who is Emma?\"}}'\n", url,
             keys ? " -H 'Authorization: Bearer KEY'" : "");
  std::fflush(stderr);
}

void serve_command(ServeSettings o, const CLI::App& command) {
  o.read_config(command);
  watch_interrupts("nothing was served yet");
  share_pools(kPools);
  const fs::path path = served_model(o);
  serve::api::ApiKeys keys = read_keys(o);
  const bool with_keys = !keys.empty();
  const Model model = ModelOptions{path.string(), o.how}.open();
  const OpenStore store = open_store(o);
  const serve::ServiceOptions options = service_options(o, path, store.folder);
  const auto engine = std::make_shared<serve::Engine>(model, store.records, engine_options(o, store.folder));
  serve::Service service(engine, store.records, std::move(keys), options);
  serve::HttpOptions http = http_options(o);
  http.on_refusal = [&service](const serve::Request& request, int status, const std::string& why) {
    service.refused(request, status, why);
  };
  http.on_head = [&service](const serve::Request& head) { return service.refusal(head); };
  // As they came, and what is made of them.
  http.on_bodies = [&engine](uint64_t bytes) { engine->set_outside_bytes(2 * bytes); };
  serve::HttpServer server(http, [&service](serve::Exchange& exchange) { service.handle(exchange); });
  service.connections = [&server] { return server.connections(); };
  stop_if_interrupted("stopped before anything was served");
  announce_interrupts(store.folder.empty() ? "answers in work end; nothing is kept (--store none)"
                                           : "answers in work end, and are kept");
  say_started(o, options, server.port(), with_keys, store.folder);
  while (!interrupted()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  server.stop(o.grace);
  engine->finish(0);
}

}  // namespace

void add_serve_command(CLI::App& app) {
  auto* command = app.add_subcommand("serve", "Serve a model over HTTP: conversations that remember (OpenAI's API)");
  auto o = std::make_shared<ServeSettings>();
  o->add_to(*command);
  command->footer(
      "Examples:\n  ingrain serve\n  ingrain serve models/reader-17m --port 9000 --store memories\n"
      "  ingrain serve --host 0.0.0.0 --keys keys.txt --allow-host ai.example.org\n"
      "What is served, and how to talk to it: docs/serving.md.");
  command->callback([o, command] { serve_command(*o, *command); });
}

}  // namespace ingrain::cli
