// The server between HTTP and the engine: who asks, what for, and the reply; one handler an endpoint.
#pragma once

#include "serve/api/ask.h"
#include "serve/api/keys.h"
#include "serve/api/metrics.h"
#include "serve/api/request_log.h"
#include "serve/engine/engine.h"
#include "serve/grammar/token_trie.h"
#include "serve/grammar/tool_calls.h"
#include "serve/http/server.h"
#include "serve/notes/notepad.h"

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace ingrain::serve {

struct ServiceOptions {
  std::string model;                 // its name in the APIs
  std::vector<std::string> aliases;  // other names that clients may say
  std::string version;
  api::AskLimits limits;
  int64_t requests_per_minute = 0;  // of a key; 0: no limit
  int64_t answers_at_once = 0;      // of a key; 0: no limit
  double lease_seconds = 60;        // after which a conversation that a dead server held may be gone on with
  std::filesystem::path log;        // empty: standard error
  std::filesystem::path scratch;    // memory files on their way in and out; made if it is not there
  std::filesystem::path notes;      // passages of what was read; empty: in RAM
};

/// What the model's template makes of answers.
struct ModelForms {
  ToolFormat tools = ToolFormat::none;
  bool thoughts = false;
  bool names = false;  // of users, in what the model reads
};

/// All members may be called by many threads at once.
class Service {
 public:
  Service(std::shared_ptr<Engine> engine, std::shared_ptr<Records> records, api::ApiKeys keys, ServiceOptions options);

  /// Handles one request, from its key to its line in the log.
  void handle(Exchange& exchange);
  /// Who may not ask, by a request's head: what he is told before his request's body is read.
  std::optional<Refusal> refusal(const Request& head) const;
  /// A request that HTTP itself refused, or whose handler failed: for log and metrics.
  void refused(const Request& request, int status, const std::string& why);

  Engine& engine() { return *engine_; }
  Records& records() { return *records_; }
  const ServiceOptions& options() const { return options_; }
  api::Metrics& metrics() { return metrics_; }
  api::RateLimits& rates() { return rates_; }
  OwnerNotes& notes() { return notes_; }
  std::shared_ptr<const TokenTrie> trie();  // of the model's tokenizer; made when it is first wanted
  const ModelForms& forms() const { return forms_; }
  bool has_keys() const { return !keys_.empty(); }
  std::mutex& memory_names() { return memory_names_; }  // held while a memory's name is looked for and taken
  int64_t created() const { return created_; }          // unix seconds

  /// For metrics.
  std::function<int64_t()> connections = [] { return int64_t{0}; };

 private:
  struct Admitted {
    const struct Route* route = nullptr;
    std::vector<std::string> variables;
    Owner owner;
  };
  Admitted admitted(const Request& request, std::string& pattern) const;
  void dispatch(struct Call& call, std::string& pattern);

  std::shared_ptr<Engine> engine_;
  std::shared_ptr<Records> records_;
  api::ApiKeys keys_;
  ServiceOptions options_;
  api::Metrics metrics_;
  api::RateLimits rates_;
  api::RequestLog log_;
  OwnerNotes notes_;
  std::once_flag trie_made_;
  std::shared_ptr<const TokenTrie> trie_;
  std::mutex memory_names_;
  ModelForms forms_;
  int64_t created_;
};

/// One request on its way through a handler.
struct Call {
  Service& service;
  Exchange& exchange;
  api::LogLine& log;
  Owner owner = {};
  std::vector<std::string> variables = {};  // of the route's pattern, in order
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  /// An error once a stream has begun, as bytes to send.
  std::function<std::string(const api::ApiError&)> stream_error = {};
  bool streaming = false;

  const Request& request() const { return exchange.request(); }
  api::Json body() const { return api::parse_body(request().body); }
  void reply(const api::Json& json, int status = 200) const;
  /// Sends a part of a stream of events; the first begins it.
  void send(std::string_view events);
  double seconds() const;
};

struct Route {
  const char* method;
  const char* pattern;  // "/v1/responses/{id}"
  bool open;            // needs no key
  void (*handle)(Call& call);
};
const std::vector<Route>& routes();

// The handlers, by file.
void post_chat(Call& call);
void post_completions(Call& call);
void post_messages(Call& call);
void post_count_tokens(Call& call);
void post_responses(Call& call);
void get_response(Call& call);
void delete_response(Call& call);
void get_response_input(Call& call);
void cancel_response(Call& call);
void post_conversations(Call& call);
void get_conversation(Call& call);
void get_conversations(Call& call);
void get_conversation_responses(Call& call);
void update_conversation(Call& call);
void delete_conversation(Call& call);
void get_conversation_items(Call& call);
void post_conversation_items(Call& call);
void get_conversation_item(Call& call);
void delete_conversation_item(Call& call);
void post_memories(Call& call);
void get_memories(Call& call);
void get_memory(Call& call);
void rename_memory(Call& call);
void delete_memory(Call& call);
void fork_memory(Call& call);
void read_into_memory(Call& call);
void download_memory(Call& call);
void download_memory_notes(Call& call);
void get_models(Call& call);
void get_model(Call& call);
void post_tokenize(Call& call);
void post_detokenize(Call& call);
void get_health(Call& call);
void get_metrics(Call& call);
void get_openapi(Call& call);
void get_page(Call& call);

}  // namespace ingrain::serve
