#include "serve/routes/forms.h"

#include "api/chat_form.h"
#include "serve/grammar/tool_constraint.h"
#include "serve/store/ids.h"

namespace ingrain::serve {
namespace {

ToolFormat format_of(const Call& call) {
  const auto source = chat_form(call.service.engine().model(), /*special=*/false).source;
  return source ? tool_format(*source) : ToolFormat::none;
}

std::shared_ptr<const Constraint> tools_constraint(Call& call, const api::ToolUse& use) {
  const ToolFormat format = format_of(call);
  if (format == ToolFormat::none)
    api::refuse_unsupported("tools", "this model has no form of calling them that is known here");
  if (use.choice == api::ToolUse::Choice::automatic) {
    if (!use.parallel) api::refuse_unsupported("parallel_tool_calls", "false where the model chooses");
    return nullptr;
  }
  return tool_constraint(format, use.tools, use.name, use.parallel, call.service.trie());
}

}  // namespace

std::shared_ptr<const Constraint> constraint_of(Call& call, const api::Ask& ask) {
  const bool formed = ask.form.kind != api::AnswerForm::Kind::text;
  try {
    if (ask.tools.any() && formed) api::refuse_unsupported(ask.form.where, "a form of the answer together with tools");
    if (ask.tools.any()) return tools_constraint(call, ask.tools);
    return formed ? json_constraint(ask.form.schema, call.service.trie(), ask.form.where) : nullptr;
  } catch (const UsageError& e) {
    api::refuse(ask.tools.any() ? "tools" : ask.form.where, "{}", e.what());
  }
}

AnswerSplit::AnswerSplit(Call& call, const api::Ask& ask) {
  if (!ask.tools.any()) return;
  AnswerReader::Options options;
  options.tools = format_of(call);
  for (const api::Json& tool : ask.tools.tools) options.names.push_back(tool["function"]["name"]);
  reader_.emplace(std::move(options));
}

std::string AnswerSplit::take(const std::vector<AnswerPart>& parts) {
  std::string out;
  for (const AnswerPart& part : parts) {
    if (part.kind == AnswerPart::Kind::call)
      said_.calls.push_back({{"id", random_id("call_")},
                             {"type", "function"},
                             {"function", {{"name", part.name}, {"arguments", part.arguments}}}});
    else
      out += part.text;
  }
  said_.text += out;
  return out;
}

std::string AnswerSplit::push(const std::string& text) {
  if (reader_) return take(reader_->push(text));
  said_.text += text;
  return text;
}

std::string AnswerSplit::finish() { return reader_ ? take(reader_->finish()) : std::string(); }

}  // namespace ingrain::serve
