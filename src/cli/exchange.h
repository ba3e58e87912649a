// A conversation with a memory: what `ask` and `chat` share.
#pragma once

#include "chat/conversation.h"
#include "cli/writing_options.h"
#include "ingrain/reader.h"

#include <functional>

namespace ingrain::cli {

/// The form of conversations with the model in `folder`: its chat template, if it has one.
chat::Form conversation_form(const std::filesystem::path& folder, const Model& model);

struct Answer {
  std::string text;
  StopReason reason = StopReason::max_tokens;
  int64_t tokens_read = 0, tokens_written = 0;
  double seconds = 0;
};

/// Reads the question as the conversation's next turn and writes the answer; both become part of the memory.
Answer exchange(Memory& memory, chat::Conversation& conversation, std::string_view question,
                const GenerateOptions& options, const std::function<void(const InnerStep&)>& on_step,
                const std::function<void(std::string_view)>& on_text);

}  // namespace ingrain::cli
