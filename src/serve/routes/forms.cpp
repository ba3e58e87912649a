#include "serve/routes/forms.h"

#include "serve/grammar/json_schema.h"

namespace ingrain::serve {

std::shared_ptr<const Constraint> constraint_of(Call& call, const api::Ask& ask) {
  if (ask.tools.any()) api::refuse_unsupported("tools");
  if (ask.form.kind == api::AnswerForm::Kind::text) return nullptr;
  try {
    return json_constraint(ask.form.schema, call.service.trie(), ask.form.where);
  } catch (const UsageError& e) {
    api::refuse(ask.form.where, "{}", e.what());
  }
}

api::Said said_of(const api::Ask&, const Choice& choice) { return {choice.text}; }

}  // namespace ingrain::serve
