// How a model converses: its template and its control tokens, from the files beside it.
#pragma once

#include "chat/conversation.h"
#include "ingrain/model.h"

namespace ingrain {

/// `special`: control tokens in what is said are meant as such.
chat::Form chat_form(const Model& model, bool special);

}  // namespace ingrain
