#include "api/chat_form.h"

#include "api/parts.h"
#include "chat/chat_template_file.h"
#include "chat/control_tokens.h"

namespace ingrain {

chat::Form chat_form(const Model& model, bool special) {
  const tokenizer::Tokenizer& tokenizer = model.parts().tokenizer();
  chat::Form out{.source = chat::find_chat_template(model.parts().folder), .named = tokenizer.named_tokens()};
  if (special) return out;
  out.control = chat::control_tokens(tokenizer, out.source.value_or(""));
  return out;
}

}  // namespace ingrain
