// Items of /v1/responses and /v1/conversations: messages, calls of functions, their results.
#pragma once

#include "serve/api/reply.h"

namespace ingrain::serve::api {

/// An item as it comes in, checked and given an id ("msg_...", "fc_...", "fco_..."), as the API gives it back.
/// `path`: for errors.
Json read_item(const Json& item, const std::string& path);
/// A list of them, or a text, which is a user's message.
Json read_input(const Json& input, const std::string& path, size_t most);

/// The messages that items mean, in chat's shape. Calls that follow each other are one message's. An item that carries
/// "ingrain_answer" (an answer of the model's, as it wrote it) hands that on; of the items of one answer the first has
/// it, and the others "ingrain_answer": null. Thoughts are "reasoning_content" of the message after them.
Json messages_of(const Json& items);
/// The item as clients see it: without what is ours.
Json shown(Json item);
Json shown_items(const Json& items);

/// Items of an answer, in the order in which it says them: its thoughts, its text, if there is any or nothing else, its
/// calls.
/// `ids`: of the items, filled up with new ones.
Json output_items(const Said& said, const Json& logprobs, bool complete, std::vector<std::string>& ids);

/// {"object": "list", "data", "first_id", "last_id", "has_more"}.
Json list_of(Json data, bool has_more);

/// Which part of a list is asked for.
struct Page {
  int64_t limit = 20;
  bool descending = true;
  std::string after;
};
Page read_page(const std::map<std::string, std::string>& query);
/// That part of a list that is here as a whole, in rising order.
Json page_of(const Json& items, const Page& page);

}  // namespace ingrain::serve::api
