// Control tokens that a template writes are tokens; the same words in what somebody says are text.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "chat/conversation.h"
#include "tokenizer/tokenizer.h"

namespace ingrain::chat {

/// What a message may say, but not mean: the tokenizer's special tokens, and of its other added tokens those that the
/// template `source` writes itself (<think>, <tool_call>) or, where it has one, of its list chat_control_tokens. Error
/// for a template that cannot be cut into tokens.
std::vector<std::string> control_tokens(const tokenizer::Tokenizer& tokenizer, std::string_view source);

/// The ids of one part of a rendered conversation, cut where said control tokens begin and end. `literal`: such a
/// token, which is spelt. Part by part, these are the ids of transformers'
/// apply_chat_template(sanitize_control_tokens=True). Error where the tokenizer makes a control token even of plain
/// text.
std::vector<int32_t> encode_part(const tokenizer::Tokenizer& tokenizer, std::string_view part, bool literal,
                                 bool is_first);

/// All of a rendered conversation: encode_part() of each piece.
std::vector<int32_t> encode(const tokenizer::Tokenizer& tokenizer, const Rendering& rendering);

/// What the model wrote, told apart: text, and control tokens (special ones, and those in `control`), not literal.
Rendering pieces_of_answer(const tokenizer::Tokenizer& tokenizer, std::span<const std::string> control,
                           std::span<const int32_t> tokens);

}  // namespace ingrain::chat
