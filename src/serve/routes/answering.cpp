#include "serve/routes/answering.h"

#include "base/option_error.h"
#include "base/clock.h"
#include "base/text.h"
#include "serve/routes/forms.h"
#include "serve/routes/noting.h"
#include "serve/store/ids.h"

#include <algorithm>
#include <utility>

namespace ingrain::serve {
namespace {

using api::Ask;
using api::Json;

/// One answer's events, as they are heard on the request's thread.
class Listener {
 public:
  Listener(Call& call, const Ask& ask, const AnswerReader::Options& reading, const AnswerHooks& hooks,
           const std::function<void()>& on_wait)
      : call_(call),
        hooks_(hooks),
        on_wait_(on_wait),
        progress_(ask.progress),
        texts_(static_cast<size_t>(ask.writing.choices), Text(reading)) {}

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
  /// Of the text, thoughts' left out.
  std::vector<WrittenToken>& tokens(int64_t choice) { return texts_.at(static_cast<size_t>(choice)).tokens; }

  /// The end of a choice's text, and all of what it says.
  const api::Said& said(int64_t choice) {
    Text& text = texts_.at(static_cast<size_t>(choice));
    if (!std::exchange(text.over, true)) tell(choice, text, text.split.finish());
    return text.split.said();
  }

 private:
  struct Text {
    explicit Text(const AnswerReader::Options& reading) : split(reading) {}
    AnswerSplit split;
    std::vector<WrittenToken> tokens, held;  // held: it is not known yet what they belong to
    bool over = false;
  };

  /// The first piece of text has the tokens; if there is none, an empty one has.
  void tell(int64_t choice, Text& text, std::vector<api::SaidPiece> pieces) {
    const auto is_text = [](const api::SaidPiece& piece) { return piece.kind == AnswerPart::Kind::text; };
    if (!text.held.empty() && std::none_of(pieces.begin(), pieces.end(), is_text)) pieces.push_back({});
    for (const api::SaidPiece& piece : pieces) {
      const std::vector<WrittenToken> tokens =
          is_text(piece) ? std::exchange(text.held, {}) : std::vector<WrittenToken>();
      text.tokens.insert(text.tokens.end(), tokens.begin(), tokens.end());
      if (hooks_.piece) hooks_.piece(choice, piece, tokens);
    }
  }

  void hear_text(const Event& event) {
    if (first_text < 0) first_text = call_.seconds();
    using Place = AnswerReader::Place;
    Text& text = texts_.at(static_cast<size_t>(event.choice));
    const bool was_thought = text.split.place() == Place::thought;
    std::vector<api::SaidPiece> pieces = text.split.push(event.text, event.written);
    text.held.insert(text.held.end(), event.tokens.begin(), event.tokens.end());
    const bool says = std::any_of(pieces.begin(), pieces.end(),
                                  [](const api::SaidPiece& piece) { return piece.kind == AnswerPart::Kind::text; });
    if ((was_thought || text.split.place() == Place::thought) && !says) text.held.clear();
    if (text.split.place() != Place::undecided || says || !pieces.empty()) tell(event.choice, text, std::move(pieces));
  }

  Call& call_;
  const AnswerHooks& hooks_;
  const std::function<void()>& on_wait_;
  bool progress_, begun_ = false;
  std::vector<Text> texts_;
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
  } catch (const OptionError&) {
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
  return {random_id(prefix), call.service.options().model, call.service.engine().model().fingerprint(), unix_seconds()};
}

Answered answer(Call& call, const Ask& ask, const AnswerHooks& hooks, const std::function<void()>& on_wait) {
  check_model(call, ask.model);
  Prompt prompt = ask.prompt;
  prompt.owner = call.owner;
  if (prompt.base.empty()) prompt.base = memory_state(call, ask.memory, "memory");
  if (ask.tools.any()) prompt.tools = ask.tools.tools;
  const LookedUp notes = ask.notepad.enabled ? look_up(call, ask, prompt) : LookedUp();
  describe_form(ask, prompt);
  const AnswerReader::Options reading = reading_of(call, ask, prompt);
  Writing writing = ask.writing;
  writing.constraint = constraint_of(call, ask, reading);
  if (reading.thoughts || reading.tools != ToolFormat::none) writing.marks.assign(kMarks.begin(), kMarks.end());
  const api::RateLimits::Place place(call.service.rates(), call.owner);

  Listener listener(call, ask, reading, hooks, on_wait);
  writing.returned = [&](int64_t choice, const std::string& text) {
    listener.begin();
    return returned_message(listener.said(choice), text);
  };
  const Outcome outcome = run_engine(call, prompt, writing, listener);
  listener.begin();
  Answered out;
  out.usage = api::usage_of(outcome);
  out.about = api::about_memory(outcome, notes.passages);
  out.said = notes.said;
  out.interrupted = outcome.choices.size() != static_cast<size_t>(ask.writing.choices);
  for (size_t i = 0; i < outcome.choices.size(); ++i) {
    const Choice& choice = outcome.choices[i];
    const auto index = static_cast<int64_t>(i);
    const api::Said& said = listener.said(index);
    out.usage.thought += said.thought_tokens;
    const bool as_written = returned_message(said, choice.text).is_null();
    out.choices.push_back({said, choice.reason, std::move(listener.tokens(index)), choice.state,
                           as_written ? choice.message : Json(nullptr)});
    out.interrupted = out.interrupted || choice.reason == StopReason::interrupted;
  }
  call.service.metrics().answer(outcome, listener.first_text);
  log_outcome(call, outcome, out.usage);
  return out;
}

std::string openai_stream_error(const api::ApiError& error) { return api::sse(api::openai_error(error)); }

void need_finished(const Call& call, const Answered& answered) {
  if (answered.interrupted && !call.exchange.gone())
    throw api::unavailable("the server is stopping; the answer was ended before its time", 5);
}

}  // namespace ingrain::serve
