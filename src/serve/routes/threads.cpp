#include "serve/routes/threads.h"

#include "base/clock.h"
#include "base/json_texts.h"
#include "base/text.h"
#include "serve/api/conversations_api.h"
#include "serve/routes/conversation_store.h"
#include "serve/routes/noting.h"

namespace ingrain::serve {
namespace {

using api::Json;

constexpr const char* kKind = "turn";

RecordPage asked_page(Call& call, const char* kind, const std::string& parent) {
  const api::Page page = api::read_page(call.request().query);
  if (!page.after.empty() && !call.service.records().get(call.owner, kind, page.after))
    api::refuse_missing("after", fmt::format("'{}'", printable(page.after)));
  return list_page(call, kind, parent, page);
}

}  // namespace

Record thread_record(const Owner& owner, const std::string& conversation, const std::string& response) {
  Record out;
  out.owner = owner;
  out.kind = kKind;
  out.id = response;
  out.parent = conversation;
  out.body = "{}";
  out.created = out.updated = unix_seconds();
  return out;
}

void leave_thread(Call& call, const std::string& response) {
  call.service.records().remove(call.owner, kKind, response);
}

void delete_thread(Call& call, const std::string& conversation) {
  remove_children(call, kKind, conversation, [&](const Record& turn) {
    const auto response = call.service.records().get(call.owner, "response", turn.id);
    if (!response) return;
    call.service.records().remove(call.owner, "response", turn.id);
    forget_said(call, parse_own_json(response->body).value("said", ""));
    forget_state(call, response->state);
  });
}

void get_conversations(Call& call) {
  const auto [records, more] = asked_page(call, "conversation", "");
  Json data = Json::array();
  for (const Record& record : records)
    data.push_back(api::conversation_json(record.id, record.created, parse_own_json(record.body)["metadata"]));
  call.reply(api::list_of(std::move(data), more));
}

void get_conversation_responses(Call& call) {
  conversation_record(call, call.variables[0], "conversation_id");
  const auto [turns, more] = asked_page(call, kKind, call.variables[0]);
  Json data = Json::array();
  for (const Record& turn : turns) {
    const auto record = call.service.records().get(call.owner, "response", turn.id);
    if (!record) continue;
    Json body = parse_own_json(record->body);
    Json response = std::move(body["response"]);
    response["input"] = api::shown_items(body["input"]);
    data.push_back(std::move(response));
  }
  Json out = api::list_of(std::move(data), more);
  if (!turns.empty()) out["last_id"] = turns.back().id;  // where the next page begins, whatever is shown of this one
  call.reply(out);
}

}  // namespace ingrain::serve
