// POST /v1/responses, as it goes out: the response, and the events of its stream in the API's order.
#pragma once

#include "serve/api/items.h"

namespace ingrain::serve::api {

/// "in_progress", with nothing said yet. `echo`: of ResponsesAsk.
Json response_begun(const ReplyHead& head, const Json& echo);

/// How an answer ended: "completed"; "incomplete" with its reason; "failed" where the server stopped it.
struct ResponseEnd {
  std::string status;
  Json incomplete_details, error;
};
ResponseEnd response_end(StopReason reason);

Json response_done(Json response, const ResponseEnd& end, Json output, const Usage& usage, const Json& about);

/// One stream's events. Each member returns bytes to send; sequence numbers rise by one.
class ResponseEvents {
 public:
  explicit ResponseEvents(Json response) : response_(std::move(response)) {}

  std::string begin();  // response.created, response.in_progress
  /// A piece of the answer; opens its item before the first. `logprobs`: a list or null.
  std::string piece(const SaidPiece& piece, const Json& logprobs);
  /// What is left to tell of the items and the response as they are now.
  std::string end(const Json& response);
  std::string progress(const Json& progress);
  /// Where nothing more can be told: an event "error".
  std::string error(const ApiError& error);

  /// Ids that items have been told under, for output_items().
  std::vector<std::string> ids() const;

 private:
  /// An item that was told of; its place in the output is its place here.
  struct Item {
    std::string id;
    AnswerPart::Kind kind;
    size_t call = 0;
    bool open = true;
    std::string text = {};  // of thoughts
    Json whole = {};        // of a call: as it is told at its end
  };
  std::string event(const std::string& type, const Json& members);
  Item* find(AnswerPart::Kind kind, size_t call);
  Json place_of(const Item& item) const;
  std::string open_item(AnswerPart::Kind kind, const std::string& id, const SaidPiece& piece);
  std::string close_item(Item& item, const Json& whole);
  std::string close_thoughts();

  Json response_;
  std::vector<Item> items_;
  int64_t sequence_ = 0;
};

}  // namespace ingrain::serve::api
