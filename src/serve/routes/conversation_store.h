// Conversations and responses in the records: how they are kept, found and gone on with.
#pragma once

#include "serve/api/items.h"
#include "serve/routes/service.h"

namespace ingrain::serve {

/// The record, or 404 naming `param`.
Record conversation_record(Call& call, const std::string& id, const std::string& param);
Record response_record(Call& call, const std::string& id, const std::string& param);

/// All items of a conversation, as they are kept.
api::Json conversation_items(Call& call, const std::string& id);
std::vector<Record> item_records(Call& call, const std::string& conversation, const api::Json& items);

/// Items of all responses up to this one, first to last; `body`: this one's, parsed. 404 where one of them was deleted.
api::Json chain_items(Call& call, Record response, api::Json body);

/// A conversation is one request's while this lives. ApiError 409 if it is another's: two that go on at once would both
/// be right, and one of them lost.
class ConversationLease {
 public:
  ConversationLease(Service& service, const Owner& owner, const std::string& id);
  ~ConversationLease();
  ConversationLease(const ConversationLease&) = delete;
  ConversationLease& operator=(const ConversationLease&) = delete;
  /// To be called now and then while the answer is made. ApiError 409 if it was lost.
  void renew();
  /// What a write of the conversation depends on.
  const Lease& held() const { return lease_; }

 private:
  Service& service_;
  const Lease lease_;
  std::chrono::steady_clock::time_point taken_;
};

/// Of a lease that was lost: what the client is told.
[[noreturn]] void refuse_locked(const char* why);

/// A page of this owner's records of a kind (of this parent; "": of any), and whether more follow. Whether `page.after`
/// is there is the caller's to ask.
struct RecordPage {
  std::vector<Record> records;
  bool more = false;
};
RecordPage list_page(Call& call, const char* kind, const std::string& parent, const api::Page& page);

/// Removes this owner's records of a kind that belong to `parent`, the newest first, each after `before(record)`.
void remove_children(Call& call, const char* kind, const std::string& parent,
                     const std::function<void(const Record& record)>& before = {});

/// Forgets a state that no record names any more.
void forget_state(Call& call, const std::string& state);

}  // namespace ingrain::serve
