#include "serve/routes/conversation_store.h"

#include "base/clock.h"
#include "base/json_texts.h"
#include "base/text.h"
#include "serve/store/ids.h"

#include <algorithm>

namespace ingrain::serve {
namespace {

using api::Json;

constexpr int64_t kPageOfItems = 1000;
constexpr int kLongestChain = 100'000;

}  // namespace

Record conversation_record(Call& call, const std::string& id, const std::string& param) {
  auto out = call.service.records().get(call.owner, "conversation", id);
  if (!out) api::refuse_missing(param, fmt::format("the conversation '{}'", printable(id)));
  return *out;
}

Record response_record(Call& call, const std::string& id, const std::string& param) {
  auto out = call.service.records().get(call.owner, "response", id);
  if (!out) api::refuse_missing(param, fmt::format("the response '{}'", printable(id)));
  return *out;
}

Json conversation_items(Call& call, const std::string& id) {
  Json out = Json::array();
  std::string after;
  while (true) {
    const auto page =
        call.service.records().list(call.owner, "item", {.parent = id, .after = after, .limit = kPageOfItems});
    for (const Record& record : page) out.push_back(parse_own_json(record.body));
    if (page.size() < kPageOfItems) return out;
    after = page.back().id;
  }
}

std::vector<Record> item_records(Call& call, const std::string& conversation, const Json& items) {
  std::vector<Record> out;
  const auto now = unix_seconds();
  for (const Json& item : items) {
    Record record;
    record.owner = call.owner;
    record.kind = "item";
    record.id = item["id"];
    record.parent = conversation;
    record.body = api::dump(item);
    record.created = record.updated = now;
    out.push_back(std::move(record));
  }
  return out;
}

Json chain_items(Call& call, Record response, Json last) {
  std::vector<Json> bodies;
  for (int i = 0; i < kLongestChain; ++i) {
    bodies.push_back(i == 0 ? std::move(last) : parse_own_json(response.body));
    if (response.parent.empty()) break;
    const auto before = call.service.records().get(call.owner, "response", response.parent);
    if (!before)
      api::refuse_missing("previous_response_id",
                          fmt::format("the response '{}', which '{}' goes on from,", response.parent, response.id));
    response = *before;
  }
  Json out = Json::array();
  for (auto body = bodies.rbegin(); body != bodies.rend(); ++body)
    for (const char* part : {"input", "output"})
      for (Json& item : (*body)[part]) out.push_back(std::move(item));
  return out;
}

void refuse_locked(const char* why) {
  api::ApiError error(409, "invalid_request_error", "conversation_locked", "conversation", why);
  error.retry_after = 1;
  throw error;
}

ConversationLease::ConversationLease(Service& service, const Owner& owner, const std::string& id)
    : service_(service),
      lease_{fmt::format("conversation/{}/{}", owner, id), random_id("lease_")},
      taken_(std::chrono::steady_clock::now()) {
  if (!service_.records().lease(lease_.name, lease_.holder, service_.options().lease_seconds))
    refuse_locked("another request is going on with this conversation; wait for its end");
}

ConversationLease::~ConversationLease() {
  try {
    service_.records().release(lease_.name, lease_.holder);
  } catch (const Error&) {
    // It ends by itself.
  }
}

void ConversationLease::renew() {
  const double seconds = service_.options().lease_seconds;
  if (seconds_since(taken_) < seconds / 3) return;
  if (!service_.records().renew(lease_, seconds))
    refuse_locked("this server lost the conversation meanwhile; nothing was kept, ask again");
  taken_ = std::chrono::steady_clock::now();
}

RecordPage list_page(Call& call, const char* kind, const std::string& parent, const api::Page& page) {
  RecordPage out;
  out.records = call.service.records().list(
      call.owner, kind,
      {.parent = parent, .after = page.after, .limit = page.limit + 1, .descending = page.descending});
  out.more = static_cast<int64_t>(out.records.size()) > page.limit;
  if (out.more) out.records.pop_back();
  return out;
}

void remove_children(Call& call, const char* kind, const std::string& parent,
                     const std::function<void(const Record& record)>& before) {
  Records& records = call.service.records();
  while (true) {
    const auto children = records.list(call.owner, kind, {.parent = parent, .descending = true});
    if (children.empty()) return;
    for (const Record& record : children) {
      if (before) before(record);
      records.remove(call.owner, kind, record.id);
    }
  }
}

void forget_state(Call& call, const std::string& state) {
  if (state.empty()) return;
  for (const char* kind : {"memory", "response", "conversation"})
    if (call.service.records().named(state, kind)) return;
  try {
    call.service.engine().forget(call.owner, state);
  } catch (const NotFound&) {
    // Its place was needed before.
  }
}

}  // namespace ingrain::serve
