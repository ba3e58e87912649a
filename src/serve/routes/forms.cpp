#include "serve/routes/forms.h"

namespace ingrain::serve {

std::shared_ptr<const Constraint> constraint_of(Call&, const api::Ask& ask) {
  if (ask.form.kind != api::AnswerForm::Kind::text) api::refuse_unsupported("response_format");
  if (ask.tools.any()) api::refuse_unsupported("tools");
  return nullptr;
}

api::Said said_of(const api::Ask&, const Choice& choice) { return {choice.text}; }

}  // namespace ingrain::serve
