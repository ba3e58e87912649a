#include "serve/routes/forms.h"

#include "serve/grammar/thought_limit.h"
#include "serve/grammar/tool_constraint.h"
#include "serve/grammar/tool_watch.h"
#include "serve/store/ids.h"

#include <algorithm>

namespace ingrain::serve {
namespace {

/// Of a bound answer: where no thoughts are asked for, the grammar leaves none to chance, which could fill the limit.
Thinking thinking_of(const api::Ask& ask, const AnswerReader::Options& reading) {
  if (reading.in_thoughts) return Thinking::begun;
  return reading.thoughts && ask.thinking.effort != "none" ? Thinking::may : Thinking::none;
}

bool is_formed(const api::Ask& ask) { return ask.form.kind != api::AnswerForm::Kind::text; }

/// Whether all of the answer follows a grammar, which knows thoughts only where their marks are tokens.
bool is_bound(const api::Ask& ask) {
  return is_formed(ask) || (ask.tools.any() && ask.tools.choice != api::ToolUse::Choice::automatic);
}

std::shared_ptr<const Constraint> tools_constraint(Call& call, const api::Ask& ask,
                                                   const AnswerReader::Options& reading) {
  const api::ToolUse& use = ask.tools;
  if (reading.tools == ToolFormat::none)
    api::refuse_unsupported("tools", "this model has no form of calling them that is known here");
  const auto trie = call.service.trie();
  if (use.choice == api::ToolUse::Choice::automatic)
    return watch_calls({.reader = reading,
                        .tools = use.tools,
                        .schema_at = use.schema_at,
                        .strict = use.strict,
                        .parallel = use.parallel},
                       trie);
  return tool_constraint(reading.tools, {use.tools, use.schema_at}, use.name, use.parallel, trie,
                         thinking_of(ask, reading));
}

std::shared_ptr<const Constraint> form_constraint(Call& call, const api::Ask& ask,
                                                  const AnswerReader::Options& reading) {
  try {
    if (ask.tools.any() && is_formed(ask))
      api::refuse_unsupported(ask.form.where, "a form of the answer together with tools");
    if (ask.tools.any()) return tools_constraint(call, ask, reading);
    if (!is_formed(ask)) return nullptr;
    return json_constraint(ask.form.schema, call.service.trie(), thinking_of(ask, reading), ask.form.where);
  } catch (const UsageError& e) {
    api::refuse(ask.tools.any() ? "tools" : ask.form.where, "{}", e.what());
  }
}

}  // namespace

AnswerReader::Options reading_of(Call& call, const api::Ask& ask, const Prompt& prompt) {
  AnswerReader::Options out;
  const ModelForms& forms = call.service.forms();
  if (ask.tools.any()) {
    out.tools = forms.tools;
    for (const api::Json& tool : ask.tools.tools) out.names.push_back(tool["function"]["name"]);
    out.certain = true;
  }
  if (!forms.thoughts && !ask.thinking.effort.empty() && ask.thinking.effort != "none")
    api::refuse_unsupported(ask.thinking.where, "this model knows no thoughts");
  if (!forms.thoughts || !prompt.messages.is_array() || prompt.continues) return out;
  if (is_bound(ask) && !(call.service.trie()->control(kThinkMark) && call.service.trie()->control(kThinkEndMark)))
    return out;
  out.thoughts = true;
  try {
    out.in_thoughts = begins_in_thoughts(call.service.engine().text(prompt));
  } catch (const Error& e) {
    api::refuse("", "{}", e.what());
  }
  return out;
}

void describe_form(const api::Ask& ask, Prompt& prompt) {
  if (ask.form.description.empty()) return;
  const std::string where = ask.form.where.substr(0, ask.form.where.rfind('.')) + ".description";
  if (!prompt.messages.is_array() || prompt.messages.empty())
    api::refuse_unsupported(where, "a prompt that is no conversation has no place for it");
  if (!prompt.said.is_array()) prompt.said = prompt.messages;
  api::Json& messages = prompt.messages;
  const auto last = std::find_if(messages.rbegin(), messages.rend(),
                                 [](const api::Json& message) { return message.value("role", "") == "user"; });
  api::Json& message = last == messages.rend() ? messages.back() : *last;
  std::string& content = message["content"].get_ref<std::string&>();
  content = fmt::format("The answer's form: {}\n{}", ask.form.description, content);
}

std::shared_ptr<const Constraint> constraint_of(Call& call, const api::Ask& ask, const AnswerReader::Options& reading) {
  auto out = form_constraint(call, ask, reading);
  if (ask.thinking.budget < 0 || !reading.thoughts) return out;
  auto closing = call.service.engine().model().encode("\n</think>\n\n", /*special=*/true);
  return limit_thoughts(std::move(out), reading, ask.thinking.budget, std::move(closing), call.service.trie());
}

std::vector<api::SaidPiece> AnswerSplit::take(std::vector<AnswerPart> parts) {
  using Kind = AnswerPart::Kind;
  std::vector<api::SaidPiece> out;
  for (AnswerPart& part : parts) {
    api::SaidPiece piece{.kind = part.kind, .text = std::move(part.text)};
    if (part.kind == Kind::text) {
      if (said_.text.empty()) said_.calls_before_text = said_.calls.size();
      said_.text += piece.text;
    } else if (part.kind == Kind::thought) {
      said_.thought += piece.text;
    } else if (part.kind == Kind::call) {
      piece.id = random_id("call_");
      said_.calls.push_back(
          {{"id", piece.id}, {"type", "function"}, {"function", {{"name", piece.text}, {"arguments", ""}}}});
      said_.cut_call = true;
    } else if (part.kind == Kind::arguments) {
      said_.calls.back()["function"]["arguments"].get_ref<std::string&>() += piece.text;
    } else {
      said_.cut_call = false;
    }
    piece.call = said_.calls.empty() ? 0 : said_.calls.size() - 1;
    out.push_back(std::move(piece));
  }
  return out;
}

std::vector<api::SaidPiece> AnswerSplit::push(const std::string& text, int64_t written) {
  const bool was = place() == AnswerReader::Place::thought;
  auto out = take(reader_.push(text));
  if (was || place() == AnswerReader::Place::thought) said_.thought_tokens = written;
  return out;
}

std::vector<api::SaidPiece> AnswerSplit::finish() { return take(reader_.finish()); }

api::Json returned_message(const api::Said& said, const std::string& written) {
  if (said.calls.empty() && said.text == written) return nullptr;
  api::Json out = {{"role", "assistant"}, {"content", said.text}};
  if (!said.calls.empty()) out["tool_calls"] = said.calls;
  return out;
}

}  // namespace ingrain::serve
