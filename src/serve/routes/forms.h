// Answers that must have a form: grammars, calls of tools.
#pragma once

#include "serve/api/ask.h"
#include "serve/api/reply.h"
#include "serve/routes/service.h"

namespace ingrain::serve {

/// What the tokens of the answer must follow; nullptr: nothing. 400 for what is not supported, by its name.
std::shared_ptr<const Constraint> constraint_of(Call& call, const api::Ask& ask);
/// The answer's text, its calls told apart.
api::Said said_of(const api::Ask& ask, const Choice& choice);

}  // namespace ingrain::serve
