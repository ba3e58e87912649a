#include "serve/routes/service.h"

#include "api/chat_form.h"
#include "api/parts.h"
#include "base/clock.h"
#include "base/option_error.h"
#include "base/text.h"

#include <algorithm>

namespace ingrain::serve {
namespace {

using api::ApiError;

/// The variables of a pattern in a path; nothing if it is another path.
std::optional<std::vector<std::string>> match(std::string_view pattern, std::string_view path) {
  std::vector<std::string> out;
  while (true) {
    const size_t pattern_end = std::min(pattern.find('/', 1), pattern.size());
    const size_t path_end = std::min(path.find('/', 1), path.size());
    const std::string_view wanted = pattern.substr(0, pattern_end), here = path.substr(0, path_end);
    if (wanted.starts_with("/{") && here.size() > 1)
      out.emplace_back(here.substr(1));
    else if (wanted != here)
      return std::nullopt;
    pattern.remove_prefix(pattern_end);
    path.remove_prefix(path_end);
    if (pattern.empty() || path.empty()) break;
  }
  return pattern.empty() && path.empty() ? std::optional(out) : std::nullopt;
}

struct Matched {
  const Route* route = nullptr;
  std::vector<std::string> variables;
  std::string allowed;  // methods that the path knows
};

Matched route_of(const Request& request) {
  Matched out;
  for (const Route& route : routes()) {
    auto variables = match(route.pattern, request.path);
    if (!variables) continue;
    if (request.method == route.method) return {&route, std::move(*variables), {}};
    if (out.allowed.find(route.method) == out.allowed.npos)
      out.allowed += (out.allowed.empty() ? "" : ", ") + std::string(route.method);
  }
  return out;
}

/// What went wrong, as it is told; its own words go to the log where clients are told less.
ApiError told(std::exception_ptr error, api::LogLine& log) {
  try {
    std::rethrow_exception(error);
  } catch (const ApiError& e) {
    return e;
  } catch (const Busy& e) {
    return api::unavailable(e.what(), 1);
  } catch (const NotFound& e) {
    return {404, "invalid_request_error", "not_found", "", e.what()};
  } catch (const OptionError& e) {
    return {400, "invalid_request_error", "", e.option(), fmt::format("'{}' {}", e.option(), e.reason())};
  } catch (const UsageError& e) {
    return {400, "invalid_request_error", "", "", e.what()};
  } catch (const std::exception& e) {
    log.more["error"] = printable(e.what(), 500);
    return api::internal_error();
  }
}

Refusal refusal_of(const Request& request, const ApiError& error) {
  Refusal out{error.status, "", error.what(), {}};
  if (error.retry_after > 0) out.headers["Retry-After"] = std::to_string(error.retry_after);
  if (error.status == 401) out.headers["WWW-Authenticate"] = "Bearer";
  if (!error.allow.empty()) out.headers["Allow"] = error.allow;
  const bool anthropic = request.path.starts_with("/v1/messages");
  out.body = api::dump(anthropic ? api::anthropic_error(error, request.id) : api::openai_error(error));
  return out;
}

void reply_error(Call& call, const ApiError& error) {
  Refusal refusal = refusal_of(call.request(), error);
  call.exchange.reply(refusal.status, "application/json", std::move(refusal.body), refusal.headers);
}

bool shows_names(const Engine& engine) {
  constexpr const char* kName = "nobody-of-this-name";
  Prompt prompt;
  prompt.messages = api::Json::array({{{"role", "user"}, {"content", "a"}, {"name", kName}}});
  try {
    return engine.text(prompt).find(kName) != std::string::npos;
  } catch (const Error&) {
    return false;  // a template may refuse a message alone
  }
}

}  // namespace

void Call::reply(const api::Json& json, int status) const {
  exchange.reply(status, "application/json", api::dump(json));
}

void Call::send(std::string_view events) {
  if (!streaming) exchange.begin(200, "text/event-stream");
  streaming = true;
  exchange.write(events);
}

double Call::seconds() const { return seconds_since(start); }

Service::Service(std::shared_ptr<Engine> engine, std::shared_ptr<Records> records, api::ApiKeys keys,
                 ServiceOptions options)
    : engine_(std::move(engine)),
      records_(std::move(records)),
      keys_(std::move(keys)),
      options_(std::move(options)),
      rates_(options_.requests_per_minute, options_.answers_at_once),
      log_(options_.log),
      notes_(options_.notes),
      created_(unix_seconds()) {
  const Model& model = engine_->model();
  const std::string source = chat_form(model, /*special=*/false).source.value_or("");
  forms_ = {tool_format(source), !source.empty() && knows_thoughts(source, model.parts().tokenizer()),
            shows_names(*engine_)};
}

std::shared_ptr<const TokenTrie> Service::trie() {
  std::call_once(trie_made_, [&] { trie_ = std::make_shared<const TokenTrie>(engine_->model().parts().tokenizer()); });
  return trie_;
}

void Service::refused(const Request& request, int status, const std::string& why) {
  api::LogLine log{request.id, "", request.method, request.path, request.peer, status, 0, api::Json::object()};
  log.more["refused"] = printable(why, 300);
  metrics_.request("other", status, 0);
  log_.write(log);
}

/// The request's route, of which it has shown the key. `pattern`: of the route, also where there is no key. ApiError
/// 401, 404, 405.
Service::Admitted Service::admitted(const Request& request, std::string& pattern) const {
  Matched matched = route_of(request);
  if (!matched.route && !matched.allowed.empty()) {
    ApiError error(405, "invalid_request_error", "method_not_allowed", "",
                   fmt::format("{} is not for this path; {} is", request.method, matched.allowed));
    error.allow = matched.allowed;
    throw error;
  }
  if (!matched.route)
    throw ApiError(404, "invalid_request_error", "unknown_url", "",
                   fmt::format("there is nothing at {} {}", request.method, printable(request.path)));
  pattern = matched.route->pattern;
  Admitted out{matched.route, std::move(matched.variables), {}};
  if (keys_.empty() || matched.route->open) return out;
  const auto owner = keys_.owner_of(api::ApiKeys::key_of(request.headers));
  if (!owner) throw api::invalid_key();
  out.owner = *owner;
  return out;
}

std::optional<Refusal> Service::refusal(const Request& head) const {
  if (head.method == "OPTIONS") return std::nullopt;
  std::string pattern;
  try {
    admitted(head, pattern);
    return std::nullopt;
  } catch (const ApiError& error) {
    return refusal_of(head, error);
  }
}

/// Finds the route and runs it; its pattern, for the metrics.
void Service::dispatch(Call& call, std::string& pattern) {
  const Request& request = call.request();
  if (request.method == "OPTIONS")
    if (const std::string allowed = route_of(request).allowed; !allowed.empty())
      return call.exchange.reply(204, "", "", {{"Allow", allowed + ", OPTIONS"}});
  Admitted admitted = this->admitted(request, pattern);
  call.variables = std::move(admitted.variables);
  call.owner = call.log.owner = admitted.owner;
  if (!admitted.route->open)
    rates_.request(call.owner, std::chrono::duration<double>(call.start.time_since_epoch()).count());
  admitted.route->handle(call);
}

void Service::handle(Exchange& exchange) {
  const Request& request = exchange.request();
  api::LogLine log{request.id, "", request.method, request.path, request.peer, 0, 0, api::Json::object()};
  Call call{*this, exchange, log};
  std::string pattern = "other";
  try {
    dispatch(call, pattern);
  } catch (...) {
    const ApiError error = told(std::current_exception(), log);
    log.more["refused"] = printable(error.what(), 300);
    if (exchange.status() == 0)
      reply_error(call, error);
    else if (call.stream_error)
      exchange.write(call.stream_error(error));
  }
  // A client may close as soon as it has a whole reply; one that leaves a stream has not got it.
  const bool left = exchange.status() == 0 || (call.streaming && exchange.gone());
  if (call.streaming) exchange.end();
  log.status = left ? 499 : exchange.status();
  log.milliseconds = call.seconds() * 1000;
  metrics_.request(pattern, log.status, call.seconds());
  log_.write(log);
}

}  // namespace ingrain::serve
