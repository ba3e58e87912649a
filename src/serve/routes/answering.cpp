#include "serve/routes/answering.h"

#include "base/text.h"
#include "serve/routes/forms.h"
#include "serve/routes/noting.h"
#include "serve/store/ids.h"

#include <algorithm>
#include <ctime>

namespace ingrain::serve {
namespace {

using api::Ask;
using api::Json;

/// One answer's events, as they are heard on the request's thread.
class Listener {
 public:
  Listener(Call& call, const Ask& ask, const AnswerHooks& hooks, const std::function<void()>& on_wait)
      : call_(call), hooks_(hooks), on_wait_(on_wait), progress_(ask.progress) {
    tokens_.resize(static_cast<size_t>(ask.writing.choices));
    for (int64_t i = 0; i < ask.writing.choices; ++i) splits_.emplace_back(call, ask);
  }

  bool hear(const Event& event) {
    begin();
    if (on_wait_) on_wait_();
    if (event.kind == Event::Kind::text)
      hear_text(event);
    else if (progress_ && hooks_.progress)
      hooks_.progress(api::progress_of(event));
    return !call_.exchange.gone();
  }

  void begin() {
    if (!begun_ && hooks_.begun) hooks_.begun();
    begun_ = true;
  }
  bool begun() const { return begun_; }

  double first_text = -1;  // seconds from the request
  std::vector<std::vector<WrittenToken>>& tokens() { return tokens_; }

  /// The end of a choice's text, and all of what it says.
  api::Said said(int64_t choice) {
    AnswerSplit& split = splits_.at(static_cast<size_t>(choice));
    tell(choice, split.finish(), {});
    return split.said();
  }

 private:
  void tell(int64_t choice, const std::string& text, const std::vector<WrittenToken>& tokens) {
    if (hooks_.text && (!text.empty() || !tokens.empty())) hooks_.text(choice, text, tokens);
  }

  void hear_text(const Event& event) {
    if (first_text < 0) first_text = call_.seconds();
    auto& tokens = tokens_.at(static_cast<size_t>(event.choice));
    tokens.insert(tokens.end(), event.tokens.begin(), event.tokens.end());
    tell(event.choice, splits_.at(static_cast<size_t>(event.choice)).push(event.text), event.tokens);
  }

  Call& call_;
  const AnswerHooks& hooks_;
  const std::function<void()>& on_wait_;
  bool progress_, begun_ = false;
  std::vector<AnswerSplit> splits_;
  std::vector<std::vector<WrittenToken>> tokens_;
};

/// What the model's template refuses is the request's fault; later errors are the server's.
Outcome run_engine(Call& call, const Prompt& prompt, const Writing& writing, Listener& listener) {
  try {
    return call.service.engine().run(prompt, writing, [&](const Event& event) { return listener.hear(event); });
  } catch (const api::ApiError&) {
    throw;
  } catch (const Busy&) {
    throw;
  } catch (const NotFound&) {
    throw;
  } catch (const Error& e) {
    if (listener.begun()) throw;
    api::refuse("", "{}", e.what());
  }
}

void log_outcome(Call& call, const Outcome& outcome, const api::Usage& usage) {
  Json& more = call.log.more;
  more["prompt_tokens"] = usage.prompt;
  more["cached_tokens"] = usage.cached;
  more["written_tokens"] = usage.written;
  if (!outcome.miss.empty()) more["miss"] = outcome.miss;
}

}  // namespace

Record memory_record(Call& call, const std::string& name_or_id, const std::string& param) {
  Records& records = call.service.records();
  auto out = records.by_name(call.owner, "memory", name_or_id);
  if (!out) out = records.get(call.owner, "memory", name_or_id);
  if (!out) api::refuse_missing(param, fmt::format("the memory '{}'", printable(name_or_id)));
  return *out;
}

std::string memory_state(Call& call, const std::string& name, const std::string& param) {
  return name.empty() ? std::string() : memory_record(call, name, param).state;
}

void check_model(const Call& call, const std::string& name) {
  const ServiceOptions& options = call.service.options();
  if (name.empty() || name == options.model) return;
  if (std::find(options.aliases.begin(), options.aliases.end(), name) != options.aliases.end()) return;
  throw api::model_not_found(name);
}

api::ReplyHead reply_head(const Call& call, const char* prefix) {
  return {random_id(prefix), call.service.options().model, call.service.engine().model().fingerprint(),
          static_cast<int64_t>(std::time(nullptr))};
}

Answered answer(Call& call, const Ask& ask, const AnswerHooks& hooks, const std::function<void()>& on_wait) {
  check_model(call, ask.model);
  Prompt prompt = ask.prompt;
  prompt.owner = call.owner;
  if (prompt.base.empty()) prompt.base = memory_state(call, ask.memory, "memory");
  if (ask.tools.any()) prompt.tools = ask.tools.tools;
  const Json passages = ask.notepad.enabled ? look_up(call, ask, prompt) : Json(nullptr);
  Writing writing = ask.writing;
  writing.constraint = constraint_of(call, ask);
  const api::RateLimits::Place place(call.service.rates(), call.owner);

  Listener listener(call, ask, hooks, on_wait);
  const Outcome outcome = run_engine(call, prompt, writing, listener);
  listener.begin();
  Answered out;
  out.usage = api::usage_of(outcome);
  out.about = api::about_memory(outcome, passages);
  out.interrupted = outcome.choices.size() != static_cast<size_t>(ask.writing.choices);
  for (size_t i = 0; i < outcome.choices.size(); ++i) {
    const Choice& choice = outcome.choices[i];
    out.choices.push_back({listener.said(static_cast<int64_t>(i)), choice.reason, std::move(listener.tokens().at(i)),
                           choice.state, choice.message});
    out.interrupted = out.interrupted || choice.reason == StopReason::interrupted;
  }
  call.service.metrics().answer(outcome, listener.first_text);
  log_outcome(call, outcome, out.usage);
  return out;
}

void need_finished(const Call& call, const Answered& answered) {
  if (answered.interrupted && !call.exchange.gone())
    throw api::unavailable("the server is stopping; the answer was ended before its time", 5);
}

}  // namespace ingrain::serve
