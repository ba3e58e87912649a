// Threads: which responses belong to a conversation that branches. The API's conversations are lists; a thread is the
// tree of all that was asked in one, each response going on from another ("previous_response_id").
#pragma once

#include "serve/routes/service.h"

namespace ingrain::serve {

/// That the response belongs to the conversation's thread.
Record thread_record(const Owner& owner, const std::string& conversation, const std::string& response);
/// No longer.
void leave_thread(Call& call, const std::string& response);
/// With all its responses and what they remember, but for what named memories were made of.
void delete_thread(Call& call, const std::string& conversation);

}  // namespace ingrain::serve
