// The notepad beside a named memory: what was read is noted, and looked up for a question.
#pragma once

#include "serve/api/memories_api.h"
#include "serve/routes/service.h"

namespace ingrain::serve {

/// Notes the texts that `memory` (an id) has read.
void note_texts(Call& call, const std::string& memory, const api::MemoryAsk& ask);
/// `memory` begins with all notes of `from`; "": none.
void note_fork(Call& call, const std::string& from, const std::string& memory);

/// Finds passages for what the user asks now and puts them before it: of all that was said before, and of what the
/// named memory that the conversation began from has read. They as JSON: [{"source", "offset", "score", "text"}]. Where
/// a tool has answered and nobody asks, none. `prompt.said` becomes the conversation without them.
api::Json look_up(Call& call, const api::Ask& ask, Prompt& prompt);

}  // namespace ingrain::serve
