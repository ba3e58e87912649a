#include "base/text.h"
#include "base/clock.h"
#include "base/json_texts.h"
#include "serve/api/conversations_api.h"
#include "serve/routes/conversation_store.h"
#include "serve/routes/noting.h"
#include "serve/routes/threads.h"
#include "serve/store/ids.h"

#include <optional>

namespace ingrain::serve {
namespace {

using api::Json;

Json conversation_of(const Record& record) {
  return api::conversation_json(record.id, record.created, parse_own_json(record.body)["metadata"]);
}

Record item_record(Call& call) {
  const Record conversation = conversation_record(call, call.variables[0], "conversation_id");
  auto out = call.service.records().get(call.owner, "item", call.variables[1]);
  if (!out || out->parent != conversation.id)
    api::refuse_missing("item_id", fmt::format("the item '{}'", printable(call.variables[1])));
  return *out;
}

}  // namespace

void post_conversations(Call& call) {
  const api::ConversationAsk ask = api::read_conversation_request(call.request().body);
  Record record;
  record.owner = call.owner;
  record.kind = "conversation";
  record.id = random_id("conv_");
  record.created = record.updated = unix_seconds();
  record.body = api::dump({{"metadata", ask.metadata}});
  std::vector<Record> records = item_records(call, record.id, ask.items);
  records.insert(records.begin(), record);
  call.service.records().put({}, records);
  call.reply(conversation_of(record));
}

void get_conversation(Call& call) {
  call.reply(conversation_of(conversation_record(call, call.variables[0], "conversation_id")));
}

void update_conversation(Call& call) {
  const Json metadata = api::read_conversation_update(call.body());
  conversation_record(call, call.variables[0], "conversation_id");
  std::optional<ConversationLease> lease(std::in_place, call.service, call.owner, call.variables[0]);
  Record record = conversation_record(call, call.variables[0], "conversation_id");
  Json body = parse_own_json(record.body);
  body["metadata"] = metadata;
  record.body = api::dump(body);
  record.updated = unix_seconds();
  call.service.records().put(record);
  lease.reset();  // before the client is told
  call.reply(conversation_of(record));
}

void delete_conversation(Call& call) {
  const std::string id = call.variables[0];
  const Record record = conversation_record(call, id, "conversation_id");
  std::optional<ConversationLease> lease(std::in_place, call.service, call.owner, id);
  remove_children(call, "item", id);
  delete_thread(call, id);
  forget_all_said(call, id);
  call.service.records().remove(call.owner, "conversation", id);
  forget_state(call, record.state);
  lease.reset();  // before the client is told
  call.reply({{"id", id}, {"object", "conversation.deleted"}, {"deleted", true}});
}

void get_conversation_items(Call& call) {
  const api::Page page = api::read_page(call.request().query);
  conversation_record(call, call.variables[0], "conversation_id");
  if (!page.after.empty() && !call.service.records().get(call.owner, "item", page.after))
    api::refuse_missing("after", fmt::format("the item '{}'", printable(page.after)));
  const auto [records, more] = list_page(call, "item", call.variables[0], page);
  Json data = Json::array();
  for (const Record& record : records) data.push_back(api::shown(parse_own_json(record.body)));
  call.reply(api::list_of(std::move(data), more));
}

void post_conversation_items(Call& call) {
  const Json items = api::read_conversation_items(call.body());
  conversation_record(call, call.variables[0], "conversation_id");
  std::optional<ConversationLease> lease(std::in_place, call.service, call.owner, call.variables[0]);
  call.service.records().put({}, item_records(call, call.variables[0], items));
  lease.reset();  // before the client is told
  call.reply(api::list_of(api::shown_items(items), false));
}

void get_conversation_item(Call& call) { call.reply(api::shown(parse_own_json(item_record(call).body))); }

void delete_conversation_item(Call& call) {
  const Record item = item_record(call);
  std::optional<ConversationLease> lease(std::in_place, call.service, call.owner, call.variables[0]);
  call.service.records().remove(call.owner, "item", item.id);
  lease.reset();  // before the client is told
  call.reply(conversation_of(conversation_record(call, call.variables[0], "conversation_id")));
}

}  // namespace ingrain::serve
