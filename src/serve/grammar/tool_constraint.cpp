#include "serve/grammar/tool_constraint.h"

#include "base/error.h"
#include "base/text.h"
#include "serve/grammar/walk.h"

namespace ingrain::serve {
namespace {

Slot add_literal(Grammar& grammar, std::string_view text) {
  WordsForm form;
  form.words.add(text, 0);
  const Slot slot = grammar.slot();
  grammar.add(slot, std::move(form));
  return slot;
}

/// A mark that is a token where the tokenizer has one, else text.
Slot add_mark(Grammar& grammar, const TokenTrie& trie, std::string_view spelling) {
  const auto token = trie.control(spelling);
  if (!token) return add_literal(grammar, spelling);
  const Slot slot = grammar.slot();
  grammar.add(slot, TokenForm{*token});
  return slot;
}

Slot add_sequence(Grammar& grammar, std::vector<Slot> parts, uint32_t end, bool loops) {
  const Slot slot = grammar.slot();
  grammar.add(slot, SequenceForm{std::move(parts), end, loops});
  return slot;
}

Slot add_thoughts(Grammar& grammar, const TokenTrie& trie, Slot text, Thinking thinking) {
  const auto open = trie.control("<think>"), close = trie.control("</think>");
  if (thinking == Thinking::none || !open || !close) return text;
  const Slot thoughts = grammar.slot();
  grammar.add(thoughts, FreeForm{*close});
  const std::vector<Slot> rest{thoughts, add_literal(grammar, "\n\n"), text};
  if (thinking == Thinking::begun) return add_sequence(grammar, rest, 2, false);
  const Slot mark = grammar.slot(), either = grammar.slot();
  grammar.add(mark, TokenForm{*open});
  grammar.alias(either, text);
  grammar.alias(either, add_sequence(grammar, {mark, rest[0], rest[1], rest[2]}, 3, false));
  return either;
}

std::shared_ptr<const Constraint> finished(std::shared_ptr<Grammar> grammar, Slot root,
                                           std::shared_ptr<const TokenTrie> trie, const std::string& where) {
  if (!grammar->finish(root, where)) fail_usage("{}: no text of finite length satisfies it", where);
  return std::make_shared<GrammarWalk>(std::move(grammar), std::move(trie));
}

/// {"name": "f", "ARGUMENTS": {...}} up to the last brace, of the tools asked for.
Slot add_calls(Grammar& grammar, const nlohmann::ordered_json& tools, const std::string& name,
               std::string_view arguments, std::vector<std::pair<Slot, std::string>>& places) {
  WordsForm calls;
  for (size_t i = 0; i < tools.size(); ++i) {
    const auto& function = tools[i].at("function");
    const std::string called = function.at("name").get<std::string>();
    if (!name.empty() && called != name) continue;
    const std::string where = fmt::format("tools[{}].function.parameters", i);
    const nlohmann::ordered_json none = {{"type", "object"}, {"additionalProperties", false}};
    const bool has_schema = function.contains("parameters") && !function["parameters"].is_null();
    const Slot slot = add_json_schema(grammar, has_schema ? function["parameters"] : none, where);
    places.emplace_back(slot, where);
    calls.words.add(fmt::format("{{\"name\": {}, \"{}\": ", nlohmann::json(called).dump(), arguments),
                    static_cast<uint32_t>(calls.then.size()));
    calls.then.push_back(slot);
  }
  if (calls.then.empty())
    fail_usage("tool_choice: {}", name.empty() ? "asks for a call, and there are no tools"
                                               : fmt::format("'{}' is no tool", printable(name)));
  const Slot slot = grammar.slot();
  grammar.add(slot, std::move(calls));
  return slot;
}

}  // namespace

std::shared_ptr<const Constraint> tool_constraint(ToolFormat format, const nlohmann::ordered_json& tools,
                                                  const std::string& name, bool parallel,
                                                  const std::shared_ptr<const TokenTrie>& trie, Thinking thinking) {
  if (format == ToolFormat::none)
    fail_usage(
        "tool_choice: this model's chat template shows no form of calls that is known, so that none can be "
        "required; say \"auto\"");
  const auto grammar = std::make_shared<Grammar>();
  std::vector<std::pair<Slot, std::string>> places;
  Slot root;
  if (format == ToolFormat::tagged) {
    const Slot open = add_mark(*grammar, *trie, "<tool_call>"), close = add_mark(*grammar, *trie, "</tool_call>");
    const Slot line = add_literal(*grammar, "\n");
    const Slot calls = add_calls(*grammar, tools, name, "arguments", places);
    root = add_sequence(*grammar, {open, line, calls, add_literal(*grammar, "}\n"), close, line}, 4, parallel);
  } else {
    const Slot calls = add_calls(*grammar, tools, name, "parameters", places);
    root = add_sequence(*grammar, {calls, add_literal(*grammar, "}"), add_literal(*grammar, "; ")}, 1, parallel);
  }
  root = add_thoughts(*grammar, *trie, root, thinking);
  auto out = finished(grammar, root, trie, "tools");
  for (const auto& [slot, where] : places)
    if (!grammar->possible(slot)) fail_usage("{}: no text of finite length satisfies it", where);
  return out;
}

std::shared_ptr<const Constraint> json_constraint(const nlohmann::ordered_json& schema,
                                                  std::shared_ptr<const TokenTrie> trie, Thinking thinking,
                                                  const std::string& where) {
  const auto grammar = std::make_shared<Grammar>();
  const nlohmann::ordered_json object = {{"type", "object"}};
  const Slot text = add_json_schema(*grammar, schema.is_null() ? object : schema, where);
  const Slot root = add_thoughts(*grammar, *trie, text, thinking);
  return finished(grammar, root, std::move(trie), where);
}

}  // namespace ingrain::serve
