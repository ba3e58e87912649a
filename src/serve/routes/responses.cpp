#include "serve/api/responses_reply.h"
#include "base/clock.h"
#include "base/json_texts.h"
#include "serve/api/responses_request.h"
#include "serve/routes/answering.h"
#include "serve/routes/conversation_store.h"
#include "serve/routes/noting.h"
#include "serve/routes/threads.h"

namespace ingrain::serve {
namespace {

using api::Json;

/// One request for a response, from what it goes on from to what is kept of it.
class Responding {
 public:
  Responding(Call& call, api::ResponsesAsk asked) : call_(call), asked_(std::move(asked)) {
    api::Ask& ask = asked_.ask;
    Json items = Json::array();
    if (!asked_.previous_response_id.empty()) {
      const Record previous = response_record(call, asked_.previous_response_id, "previous_response_id");
      Json body = parse_own_json(previous.body);
      begin_from(body);
      ask.prompt.latest = previous.state;
      items = chain_items(call, previous, std::move(body));
    } else if (!asked_.conversation.empty()) {
      conversation_ = conversation_record(call, asked_.conversation, "conversation");
      lease_.emplace(call.service, call.owner, asked_.conversation);
      begin_from(parse_own_json(conversation_->body));
      ask.prompt.latest = conversation_->state;
      items = conversation_items(call, asked_.conversation);
    }
    if (!asked_.thread.empty()) conversation_record(call, asked_.thread, "thread");
    if (!ask.memory.empty()) {
      const Record memory = memory_record(call, ask.memory, "memory");
      base_ = memory.state;
      memory_ = memory.id;
    }
    ask.memory = memory_;
    ask.prompt.base = base_;
    for (const Json& item : asked_.input) items.push_back(item);
    ask.prompt.messages = Json::array();
    if (!asked_.instructions.empty())
      ask.prompt.messages.push_back({{"role", "system"}, {"content", asked_.instructions}});
    for (Json& message : api::messages_of(items)) ask.prompt.messages.push_back(std::move(message));
    head_ = reply_head(call, "resp_");
    begun_ = api::response_begun(head_, asked_.echo);
  }

  const api::Ask& ask() const { return asked_.ask; }
  const Json& begun() const { return begun_; }
  void renew() {
    if (lease_) lease_->renew();
  }

  /// Whether to keep what a client left behind: in a thread it is gone on from.
  bool keeps_what_was_stopped(const Answered& answered) const {
    return !asked_.thread.empty() && !answered.choices.empty() && !answered.choices[0].state.empty();
  }

  /// The response as it is now, kept. `ids`: that items were told under.
  Json finish(const Answered& answered, std::vector<std::string> ids) {
    const AnsweredChoice choice = answered.choices.empty() ? AnsweredChoice{} : answered.choices[0];
    const StopReason reason = answered.interrupted ? StopReason::interrupted : choice.reason;
    api::ResponseEnd end = api::response_end(reason);
    if (call_.exchange.gone()) end = {"incomplete", {{"reason", "stopped"}}, nullptr};
    const Json scores = ask().writing.top_logprobs >= 0 ? api::chat_logprobs(choice.tokens) : Json(nullptr);
    Json output = api::output_items(choice.said, scores, end.status == "completed", ids);
    const Json response = api::response_done(begun_, end, output, answered.usage, answered.about);
    if (!choice.message.is_null())
      for (size_t i = 0; i < output.size(); ++i) output[i][kAnswerMember] = i == 0 ? choice.message : Json(nullptr);
    said_ = answered.said;
    keep(response, output, choice.state, end.status != "failed" && !call_.exchange.gone());
    lease_.reset();  // before the client is told, who may go on at once
    return response;
  }

 private:
  void begin_from(const Json& body) {
    base_ = body.value("base", "");
    memory_ = body.value("memory", "");
  }

  void keep(const Json& response, const Json& output, const std::string& state, bool whole) {
    const auto now = unix_seconds();
    std::vector<Record> records;
    if (asked_.store) {
      Record record;
      record.owner = call_.owner;
      record.kind = "response";
      record.id = head_.id;
      record.parent = asked_.previous_response_id;
      record.state = state;
      record.created = head_.created;
      record.updated = now;
      record.body = api::dump({{"response", response},
                               {"input", asked_.input},
                               {"output", output},
                               {"base", base_},
                               {"memory", memory_},
                               {"said", said_}});
      records.push_back(std::move(record));
      if (!asked_.thread.empty()) records.push_back(thread_record(call_.owner, asked_.thread, head_.id));
    }
    if (conversation_ && whole) {
      for (const Json* items : {&std::as_const(asked_.input), &output})
        for (Record& item : item_records(call_, conversation_->id, *items)) records.push_back(std::move(item));
      if (!said_.empty()) records.push_back(said_record(call_.owner, conversation_->id, said_));
      Json body = parse_own_json(conversation_->body);
      body["base"] = base_;
      body["memory"] = memory_;
      conversation_->body = api::dump(body);
      conversation_->state = state;
      conversation_->updated = now;
      records.push_back(*conversation_);
    }
    if (records.empty()) return forget_said(call_, said_);
    try {
      call_.service.records().put({}, records, lease_ && whole ? lease_->held() : Lease{});
    } catch (const LeaseLost&) {
      refuse_locked("this server lost the conversation meanwhile; nothing was kept, ask again");
    }
  }

  Call& call_;
  api::ResponsesAsk asked_;
  std::string base_, memory_;  // the state that all began from, and the named memory whose it was
  std::string said_;           // notes of what was said before
  std::optional<Record> conversation_;
  std::optional<ConversationLease> lease_;
  api::ReplyHead head_;
  Json begun_;
};

void stream_response(Call& call, Responding& responding) {
  const auto shared = std::make_shared<api::ResponseEvents>(responding.begun());  // an error is told after this returns
  api::ResponseEvents& events = *shared;
  const bool scores = responding.ask().writing.top_logprobs >= 0;
  call.stream_error = [shared](const api::ApiError& error) { return shared->error(error); };
  AnswerHooks hooks;
  hooks.begun = [&] { call.send(events.begin()); };
  hooks.piece = [&](int64_t, const api::SaidPiece& piece, const std::vector<WrittenToken>& tokens) {
    if (piece.kind != AnswerPart::Kind::text || !piece.text.empty() || !tokens.empty())
      call.send(events.piece(piece, scores ? api::chat_logprobs(tokens) : Json(nullptr)));
  };
  hooks.progress = [&](const Json& progress) { call.send(events.progress(progress)); };
  const Answered answered = answer(call, responding.ask(), hooks, [&] { responding.renew(); });
  if (call.exchange.gone() && !responding.keeps_what_was_stopped(answered)) return;
  const Json response = responding.finish(answered, events.ids());
  call.send(events.end(response));
}

/// What was said before a response, and before all that go on from it: those notes hold what it says, too. Who asks
/// again notes anew what is still there.
void forget_responses_said(Call& call, const Record& record) {
  std::vector<Record> all{record};
  for (size_t i = 0; i < all.size(); ++i) {
    const std::string id = all[i].id;
    std::string after;
    for (;;) {
      const auto page = call.service.records().list(call.owner, "response", {.parent = id, .after = after});
      if (page.empty()) break;
      all.insert(all.end(), page.begin(), page.end());
      after = page.back().id;
    }
  }
  for (auto last = all.rbegin(); last != all.rend(); ++last)
    forget_said(call, parse_own_json(last->body).value("said", ""));
}

Json stored(Call& call) { return parse_own_json(response_record(call, call.variables[0], "response_id").body); }

}  // namespace

void post_responses(Call& call) {
  api::ResponsesAsk asked = api::read_responses_request(call.body(), call.service.options().limits);
  check_model(call, asked.ask.model);
  Responding responding(call, std::move(asked));
  if (responding.ask().stream) return stream_response(call, responding);
  const Answered answered = answer(call, responding.ask(), {}, [&] { responding.renew(); });
  if (call.exchange.gone()) return;
  call.reply(responding.finish(answered, {}));
}

void get_response(Call& call) {
  for (const auto& [name, value] : call.request().query)
    if (name != "include" && name != "include[]" &&
        !((name == "stream" || name == "include_obfuscation") && value == "false"))
      api::refuse_unsupported(name);
  call.reply(stored(call)["response"]);
}

void delete_response(Call& call) {
  const Record record = response_record(call, call.variables[0], "response_id");
  forget_responses_said(call, record);
  call.service.records().remove(call.owner, "response", record.id);
  leave_thread(call, record.id);
  forget_state(call, record.state);
  call.reply({{"id", record.id}, {"object", "response"}, {"deleted", true}});
}

void get_response_input(Call& call) {
  const api::Page page = api::read_page(call.request().query);
  call.reply(api::page_of(stored(call)["input"], page));
}

void cancel_response(Call& call) {
  response_record(call, call.variables[0], "response_id");
  throw api::ApiError(409, "invalid_request_error", "not_running", "response_id",
                      "only a response with 'background': true can be cancelled; this one is over");
}

}  // namespace ingrain::serve
