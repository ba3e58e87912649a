// What a request for an answer says, whichever API's words it came in.
#pragma once

#include "serve/api/fields.h"
#include "serve/engine/engine.h"

#include <optional>
#include <string>
#include <vector>

namespace ingrain::serve::api {

/// The form that the answer must have.
struct AnswerForm {
  enum class Kind { text, json_object, json_schema };
  Kind kind = Kind::text;
  Json schema = nullptr;         // json_schema
  std::string where = {};        // the schema's path in the request
  std::string description = {};  // what the form is for, which the model reads
};

/// Tools that the model may call, in the form of /v1/chat/completions: {"type": "function", "function": {...}}.
struct ToolUse {
  enum class Choice { automatic, none, required, named };
  Json tools = Json::array();
  Choice choice = Choice::automatic;
  std::string name;                               // named
  bool parallel = true;                           // false: one call in an answer
  std::vector<std::string> strict = {};           // names of those whose schema must hold, whatever the choice
  std::string schema_at = "function.parameters";  // a schema's path in a tool as the request has it
  bool any() const { return !tools.empty() && choice != Choice::none; }
};

/// Passages of what was read, looked up for the question and read before it.
struct NotepadUse {
  bool enabled = false;
  int64_t passages = 4;
};

/// Whether the model is to think before it answers, where it can.
struct ThinkingUse {
  std::string effort = {};  // "none", or what a template may make of "low"; "": as the template has it
  std::string where = {};   // the field that said so
  int64_t budget = -1;      // tokens at most; -1: any
};

struct Ask {
  std::string model;   // as the request names it; empty: the one that is served
  std::string memory;  // a named memory that the answer begins from, by name or id; empty: none
  Prompt prompt;       // without owner and base
  Writing writing;     // without constraint
  AnswerForm form;
  ToolUse tools;
  NotepadUse notepad;
  ThinkingUse thinking;
  bool stream = false;
  bool usage_in_stream = false;
  bool progress = false;  // in a stream: tell of reading and of inner steps
};

/// Bounds of what one request may ask for.
struct AskLimits {
  int64_t max_tokens = 4096;  // of an answer whose request names no number
  int64_t most_choices = 16;
  double longest = 1 << 30;  // tokens
};

/// model, memory, notepad, progress, stream, and our own knobs: seed, top_k, min_p, repetition_penalty, learn.
void read_common(Fields& fields, Ask& ask);
/// temperature (0..`hottest`), top_p, presence_penalty, frequency_penalty.
void read_sampling(Fields& fields, Ask& ask, double hottest = 2);
/// "none", "minimal", "low", "medium", "high" or "xhigh" under `name`, for the template's enable_thinking and
/// reasoning_effort.
void read_effort(Fields& fields, std::string_view name, Ask& ask);
/// The template's variables for it.
void set_thinking(Ask& ask, const std::string& effort, const std::string& where);
/// A text or a list of them under `name`.
void read_stop(Fields& fields, std::string_view name, Ask& ask);
void read_logit_bias(Fields& fields, Ask& ask);
void read_stream_options(Fields& fields, Ask& ask);
/// At most 16 pairs of short strings, as OpenAI's API has them; an empty object where there are none.
Json read_metadata(Fields& fields);
/// Chat's {"type", "json_schema": {...}} or Responses' flattened {"type", "name", "schema"}.
AnswerForm read_form(const Json& format, const std::string& path);

/// Lists of tools in three shapes, as chat's; `use` has them and the names of strict ones.
void read_chat_tools(const Json& tools, ToolUse& use);
void read_responses_tools(const Json& tools, ToolUse& use);
void read_anthropic_tools(const Json& tools, ToolUse& use);
/// tool_choice as a word or an object. Chat's object names the function in {"function": {"name"}}, Responses' in
/// {"name"}.
void read_tool_choice(Fields& fields, ToolUse& tools);

/// The text of a message's content: a string, or a list of parts of these types, joined. 400 for any other part, by its
/// type.
std::string read_content(const Json& content, const std::string& path, std::initializer_list<std::string_view> types);

}  // namespace ingrain::serve::api
