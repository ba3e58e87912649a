// The notepad beside a named memory: what was read is noted, and looked up for a question.
#pragma once

#include "serve/api/memories_api.h"
#include "serve/routes/service.h"

namespace ingrain::serve {

/// Notes the texts that `memory` (an id) has read.
void note_texts(Call& call, const std::string& memory, const api::MemoryAsk& ask);
/// `memory` begins with all notes of `from`; "": none.
void note_fork(Call& call, const std::string& from, const std::string& memory);

struct LookedUp {
  api::Json passages;  // [{"source", "offset", "score", "text"}]
  std::string said;    // names the notes of what was said before; "": there are none
};
/// Finds passages for what the user asks now and puts them before it: of all that was said before, and of what the
/// named memory that the conversation began from has read. Where a tool has answered and nobody asks, none.
/// `prompt.said` becomes the conversation without them.
LookedUp look_up(Call& call, const api::Ask& ask, Prompt& prompt);

/// Forgets what was said, by LookedUp::said, but for beginnings that other conversations share.
void forget_said(Call& call, const std::string& said);
/// Forgets what a named memory (an id) has read, and what was said in conversations with it.
void forget_notes(Call& call, const std::string& memory);

/// That a conversation was looked up, so that deleting it forgets what was said in it.
Record said_record(const Owner& owner, const std::string& conversation, const std::string& said);
/// Of all such records; they go with it.
void forget_all_said(Call& call, const std::string& conversation);

}  // namespace ingrain::serve
