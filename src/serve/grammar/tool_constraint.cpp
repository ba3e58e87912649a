#include "serve/grammar/tool_constraint.h"

#include "base/error.h"
#include "base/text.h"

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
  const auto open = trie.control(kThinkMark), close = trie.control(kThinkEndMark);
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

GrammarWalk finished(std::shared_ptr<Grammar> grammar, Slot root, std::shared_ptr<const TokenTrie> trie,
                     const std::string& where) {
  if (!grammar->finish(root, where)) fail_usage("{}: no text of finite length satisfies it", where);
  return {std::move(grammar), std::move(trie)};
}

/// Where the arguments of a tool stand.
struct ArgumentsPlace {
  Slot slot;
  std::string where;
};

ArgumentsPlace add_arguments(Grammar& grammar, const ToolList& tools, size_t i) {
  const auto& function = tools.tools[i].at("function");
  const std::string where = fmt::format("tools[{}].{}", i, tools.schema_at);
  const nlohmann::ordered_json none = {{"type", "object"}, {"additionalProperties", false}};
  const bool has_schema = function.contains("parameters") && !function["parameters"].is_null();
  return {add_json_schema(grammar, has_schema ? function["parameters"] : none, where), where};
}

void need_possible(const Grammar& grammar, const std::vector<ArgumentsPlace>& places) {
  for (const auto& [slot, where] : places)
    if (!grammar.possible(slot)) fail_usage("{}: no text of finite length satisfies it", where);
}

/// {"name": "f", "arguments": {...}} up to the last brace, of the tools asked for.
Slot add_calls(Grammar& grammar, ToolFormat format, const ToolList& tools, const std::string& name,
               std::vector<ArgumentsPlace>& places) {
  WordsForm calls;
  for (size_t i = 0; i < tools.tools.size(); ++i) {
    const std::string called = tools.tools[i].at("function").at("name").get<std::string>();
    if (!name.empty() && called != name) continue;
    places.push_back(add_arguments(grammar, tools, i));
    calls.words.add(call_opening(format, called), static_cast<uint32_t>(calls.then.size()));
    calls.then.push_back(places.back().slot);
  }
  if (calls.then.empty())
    fail_usage("tool_choice: {}", name.empty() ? "asks for a call, and there are no tools"
                                               : fmt::format("'{}' is no tool", printable(name)));
  const Slot slot = grammar.slot();
  grammar.add(slot, std::move(calls));
  return slot;
}

}  // namespace

std::shared_ptr<const Constraint> tool_constraint(ToolFormat format, const ToolList& tools, const std::string& name,
                                                  bool parallel, const std::shared_ptr<const TokenTrie>& trie,
                                                  Thinking thinking) {
  if (format == ToolFormat::none)
    fail_usage(
        "tool_choice: this model's chat template shows no form of calls that is known, so that none can be "
        "required; say \"auto\"");
  const auto grammar = std::make_shared<Grammar>();
  std::vector<ArgumentsPlace> places;
  const Slot calls = add_calls(*grammar, format, tools, name, places);
  Slot root;
  if (format == ToolFormat::tagged) {
    const Slot open = add_mark(*grammar, *trie, kCallMark), close = add_mark(*grammar, *trie, kCallEndMark);
    const Slot line = add_literal(*grammar, "\n");
    root = add_sequence(*grammar, {open, line, calls, add_literal(*grammar, "}\n"), close, line}, 4, parallel);
  } else {
    root = add_sequence(*grammar, {calls, add_literal(*grammar, "}"), add_literal(*grammar, "; ")}, 1, parallel);
  }
  root = add_thoughts(*grammar, *trie, root, thinking);
  auto out = std::make_shared<GrammarWalk>(finished(grammar, root, trie, "tools"));
  need_possible(*grammar, places);
  return out;
}

GrammarWalk call_after_opening(ToolFormat format, const ToolList& tools, const std::string& name,
                               const std::shared_ptr<const TokenTrie>& trie) {
  if (format == ToolFormat::none)
    fail_usage("tools: this model's chat template shows no form of calling them that is known");
  const auto grammar = std::make_shared<Grammar>();
  std::vector<ArgumentsPlace> places;
  Slot root = grammar->slot();
  if (format == ToolFormat::tagged) {
    const Slot calls = add_calls(*grammar, format, tools, name, places);
    const Slot call = add_sequence(
        *grammar, {calls, add_literal(*grammar, "}\n"), add_mark(*grammar, *trie, kCallEndMark)}, 2, false);
    grammar->alias(root, call);
    grammar->alias(root, add_sequence(*grammar, {add_literal(*grammar, "\n"), call}, 1, false));
  } else {
    for (size_t i = 0; i < tools.tools.size(); ++i)
      if (tools.tools[i].at("function").at("name") == name) places.push_back(add_arguments(*grammar, tools, i));
    require(!places.empty(), "'{}' is no tool", printable(name));
    root = add_sequence(
        *grammar, {add_literal(*grammar, ", \"parameters\": "), places[0].slot, add_literal(*grammar, "}")}, 2, false);
  }
  GrammarWalk out = finished(grammar, root, trie, "tools");
  need_possible(*grammar, places);
  return out;
}

bool can_be_grammar(const nlohmann::ordered_json& schema) {
  try {
    Grammar grammar;
    const Slot slot = add_json_schema(grammar, schema, "");
    return grammar.finish(slot, "");
  } catch (const UsageError&) {
    return false;
  }
}

std::shared_ptr<const Constraint> json_constraint(const nlohmann::ordered_json& schema,
                                                  std::shared_ptr<const TokenTrie> trie, Thinking thinking,
                                                  const std::string& where) {
  const auto grammar = std::make_shared<Grammar>();
  const nlohmann::ordered_json object = {{"type", "object"}};
  const Slot text = add_json_schema(*grammar, schema.is_null() ? object : schema, where);
  const Slot root = add_thoughts(*grammar, *trie, text, thinking);
  return std::make_shared<GrammarWalk>(finished(grammar, root, std::move(trie), where));
}

}  // namespace ingrain::serve
