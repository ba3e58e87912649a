// Bodies of requests and replies, for the OpenAPI document.
#include "serve/api/openapi.h"
#include "serve/api/openapi_schemas.h"

#include <algorithm>

namespace ingrain::serve::api {
namespace {

// What all requests for an answer may say.
constexpr const char* kCommonFields = R"({
  "memory": {"type": ["string", "null"], "description": "Begin from a copy of this named memory."},
  "notepad": {"type": ["object", "null"], "additionalProperties": false, "properties": {
    "enabled": {"type": ["boolean", "null"]}, "passages": {"type": ["integer", "null"], "minimum": 1, "maximum": 64}}},
  "stream": {"type": ["boolean", "null"]},
  "progress": {"type": ["boolean", "null"], "description": "In a stream: tell of reading and of inner steps."},
  "seed": {"type": ["integer", "null"], "minimum": -9223372036854775808, "maximum": 9223372036854775807},
  "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
  "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
  "top_k": {"type": ["integer", "null"], "minimum": 0, "maximum": 1073741824},
  "min_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
  "repetition_penalty": {"type": ["number", "null"], "minimum": 0.01, "maximum": 100},
  "presence_penalty": {"type": ["number", "null"], "minimum": -2, "maximum": 2},
  "frequency_penalty": {"type": ["number", "null"], "minimum": -2, "maximum": 2},
  "learn": {"enum": ["all", "input", "off", null]}
})";

constexpr const char* kOpenAiFields = R"({
  "stop": {"$ref": "#/components/schemas/Stop"},
  "logit_bias": {"$ref": "#/components/schemas/LogitBias"},
  "user": {"$ref": "#/components/schemas/NoEffect"}
})";

// Of chat and responses.
constexpr const char* kClientFields = R"({
  "safety_identifier": {"$ref": "#/components/schemas/NoEffect"}, "prompt_cache_key": {"$ref": "#/components/schemas/NoEffect"}, "prompt_cache_retention": {"$ref": "#/components/schemas/NoEffect"},
  "service_tier": {"enum": ["auto", "default", null]},
  "metadata": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/MetadataPairs"}]},
  "tools": {"$ref": "#/components/schemas/Tools"}, "tool_choice": {"$ref": "#/components/schemas/ToolChoice"},
  "parallel_tool_calls": {"type": ["boolean", "null"]}
})";

constexpr const char* kUsageOption = R"({
  "stream_options": {"type": ["object", "null"], "additionalProperties": false, "properties": {
    "include_usage": {"type": ["boolean", "null"]}, "include_obfuscation": {"enum": [false, null]}}}
})";

constexpr const char* kChatFields = R"({
  "messages": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/ChatMessage"}},
  "max_tokens": {"$ref": "#/components/schemas/Length"}, "max_completion_tokens": {"$ref": "#/components/schemas/Length"},
  "n": {"$ref": "#/components/schemas/Choices"},
  "logprobs": {"type": ["boolean", "null"]}, "top_logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20},
  "response_format": {"$ref": "#/components/schemas/ChatFormat"}, "store": {"enum": [false, null]},
  "modalities": {"enum": [["text"], null]}, "verbosity": {"enum": ["medium", null]}, "reasoning_effort": {"$ref": "#/components/schemas/Effort"}
})";

constexpr const char* kCompletionFields = R"({
  "prompt": {"anyOf": [{"type": ["string", "null"]}, {"$ref": "#/components/schemas/Tokens"},
    {"type": "array", "maxItems": 64, "minItems": 1,
     "items": {"anyOf": [{"type": "string"}, {"$ref": "#/components/schemas/Tokens"}]}}]},
  "max_tokens": {"$ref": "#/components/schemas/Length"}, "n": {"$ref": "#/components/schemas/Choices"},
  "logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20},
  "response_format": {"$ref": "#/components/schemas/CompletionFormat"},
  "best_of": {"type": ["integer", "null"]}, "echo": {"enum": [false, null]}, "suffix": {"enum": ["", null]}
})";

constexpr const char* kResponsesFields = R"({
  "input": {"anyOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Item"}}]},
  "instructions": {"type": ["string", "null"]}, "previous_response_id": {"type": ["string", "null"]},
  "thread": {"type": ["string", "null"]},
  "conversation": {"anyOf": [{"type": ["string", "null"]}, {"type": "object", "required": ["id"],
    "additionalProperties": false, "properties": {"id": {"type": "string"}}}]},
  "store": {"type": ["boolean", "null"]}, "max_output_tokens": {"$ref": "#/components/schemas/SomeLength"},
  "text": {"type": ["object", "null"], "additionalProperties": false, "properties": {
    "format": {"$ref": "#/components/schemas/TextFormat"}, "verbosity": {"enum": ["medium", null]}}},
  "top_logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20},
  "include": {"type": ["array", "null"], "maxItems": 16,
              "items": {"enum": ["message.output_text.logprobs", "reasoning.encrypted_content"]}},
  "truncation": {"enum": ["disabled", "auto", null]}, "background": {"enum": [false, null]},
  "reasoning": {"type": ["object", "null"], "additionalProperties": false, "properties": {
    "effort": {"$ref": "#/components/schemas/Effort"}, "summary": {"enum": ["auto", null]}}},
  "stream_options": {"type": ["object", "null"], "additionalProperties": false, "properties": {
    "include_obfuscation": {"enum": [false, null]}}}
})";

constexpr const char* kMessagesFields = R"({
  "messages": {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Turn"}},
  "system": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/Text"}]},
  "max_tokens": {"$ref": "#/components/schemas/SomeLength"}, "stop_sequences": {"$ref": "#/components/schemas/Stop"},
  "tools": {"$ref": "#/components/schemas/AnthropicTools"},
  "tool_choice": {"$ref": "#/components/schemas/AnthropicToolChoice"},
  "thinking": {"$ref": "#/components/schemas/Thinking"},
  "metadata": {"type": ["object", "null"], "additionalProperties": false, "properties": {"user_id": {"$ref": "#/components/schemas/NoEffect"}}},
  "service_tier": {"enum": ["auto", "standard_only", null]}, "cache_control": {"$ref": "#/components/schemas/NoEffect"}
})";

// What two fields say of each other.
constexpr const char* kOnlyInStreams =
    R"({"anyOf": [{"required": ["stream"], "properties": {"stream": {"const": true}}},
  {"properties": {"progress": {"enum": [false, null]}}}]})";
constexpr const char* kOptionsOnlyInStreams =
    R"({"anyOf": [{"required": ["stream"], "properties": {"stream": {"const": true}}},
  {"properties": {"progress": {"enum": [false, null]}, "stream_options": {"type": "null"}}}]})";
constexpr const char* kTopNeedsScores =
    R"({"anyOf": [{"required": ["logprobs"], "properties": {"logprobs": {"const": true}}},
  {"properties": {"top_logprobs": {"type": "null"}}}]})";
constexpr const char* kOneLength =
    R"({"anyOf": [{"properties": {"max_tokens": {"type": "null"}}}, {"properties": {"max_completion_tokens": {"type": "null"}}}]})";
constexpr const char* kBestOfIsN = R"({"anyOf": [{"properties": {"best_of": {"type": "null"}}},
  {"properties": {"best_of": {"const": 1}, "n": {"enum": [1, null]}}}]})";
constexpr const char* kOneBeginning = R"({"anyOf": [{"properties": {"previous_response_id": {"enum": ["", null]}}},
  {"properties": {"conversation": {"enum": ["", null]}}}]})";
constexpr const char* kThreadsAreStored = R"({"anyOf": [{"properties": {"thread": {"enum": ["", null]}}},
  {"properties": {"store": {"enum": [true, null]}}}]})";

Json request_schema(std::initializer_list<const char*> fields, Json required,
                    std::initializer_list<const char*> rules) {
  Json properties = Json::object();
  properties["model"] = {{"$ref", "#/components/schemas/ModelName"}};
  for (const char* part : fields) properties.update(Json::parse(part));
  Json all = Json::array();
  for (const char* rule : rules) all.push_back(Json::parse(rule));
  return {{"type", "object"},
          {"additionalProperties", false},
          {"required", std::move(required)},
          {"properties", std::move(properties)},
          {"allOf", std::move(all)}};
}

Json integer_or_null(int64_t least, int64_t most) {
  return {{"type", {"integer", "null"}}, {"minimum", least}, {"maximum", most}};
}

/// What depends on the model.
void add_of_model(Json& out, const OpenApiOf& of) {
  const auto longest = static_cast<int64_t>(of.limits.longest);
  out["Length"] = integer_or_null(0, longest);
  out["SomeLength"] = integer_or_null(1, longest);
  out["Choices"] = integer_or_null(1, of.limits.most_choices);
  out["Tokens"] = {{"type", "array"},
                   {"minItems", 1},
                   {"items", {{"type", "integer"}, {"minimum", 0}, {"maximum", of.vocab_size - 1}}}};
  out["Detokenize"]["properties"]["tokens"]["items"] = out["Tokens"]["items"];
  out["ModelName"] = {{"enum", of.models}};
  out["ModelName"]["enum"].push_back(nullptr);
  out["MessageName"] = of.names ? Json{{"type", {"string", "null"}}} : Json{{"enum", {"", nullptr}}};
  const size_t digits = std::to_string(of.vocab_size - 1).size();  // all ids of one digit less are the model's
  out["LogitBias"] = Json::parse(R"({"type": ["object", "null"], "description": "Keys are token ids of the model.",
    "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100}})");
  out["LogitBias"]["propertyNames"] = {{"pattern", fmt::format("^[0-9]{{1,{}}}$", std::max<size_t>(digits, 2) - 1)}};
  const Json none = {{"type", {"array", "null"}}, {"maxItems", 0}};  // the model has no form of calling them
  const Json tools = {{"type", {"array", "null"}}, {"maxItems", 128}, {"items", {{"type", "object"}}}};
  out["Tools"] = out["AnthropicTools"] = of.tools ? tools : none;
  out["ToolChoice"] = Json::parse(R"({"enum": ["auto", "none", null]})");
  Json anthropic = Json::parse(R"({"type": ["object", "null"], "additionalProperties": false, "required": ["type"],
    "properties": {"type": {"enum": ["auto", "none"]}, "disable_parallel_tool_use": {"type": ["boolean", "null"]}}})");
  if (of.tools) {
    out["ToolChoice"] = Json::parse(R"({"anyOf": [{"enum": ["auto", "none", "required", null]}, {"type": "object"}]})");
    anthropic = {{"type", {"object", "null"}}};
  }
  out["AnthropicToolChoice"] = std::move(anthropic);
  out["Effort"] = Json::parse(of.thoughts ? R"({"enum": ["none", "minimal", "low", "medium", "high", "xhigh", null]})"
                                          : R"({"enum": ["none", null]})");
  out["Thinking"] = Json::parse(of.thoughts ? R"({"type": ["object", "null"]})"
                                            : R"({"type": ["object", "null"], "additionalProperties": false,
    "required": ["type"], "properties": {"type": {"enum": ["disabled"]}, "display": {"enum": ["summarized", null]}}})");
}

}  // namespace

Json openapi_schemas(const OpenApiOf& of) {
  Json out = fixed_schemas();
  add_of_model(out, of);
  out["CompletionFormat"] = out["ChatFormat"];  // which is described to who is asked something
  out["CompletionFormat"]["anyOf"][2]["properties"]["json_schema"]["properties"]["description"] = {{"type", "null"}};
  out["Chat"] = request_schema({kCommonFields, kOpenAiFields, kClientFields, kUsageOption, kChatFields},
                               Json::array({"messages"}), {kOptionsOnlyInStreams, kTopNeedsScores, kOneLength});
  out["Completion"] = request_schema({kCommonFields, kOpenAiFields, kUsageOption, kCompletionFields}, Json::array(),
                                     {kOptionsOnlyInStreams, kBestOfIsN});
  out["Response"] = request_schema({kCommonFields, kOpenAiFields, kClientFields, kResponsesFields},
                                   Json::array({"input"}), {kOnlyInStreams, kOneBeginning, kThreadsAreStored});
  out["Message"] =
      request_schema({kCommonFields, kMessagesFields}, Json::array({"messages", "max_tokens"}), {kOnlyInStreams});
  out["Message"]["properties"]["temperature"]["maximum"] = 1;
  out["Count"] = out["Message"];
  out["Count"]["required"] = Json::array({"messages"});
  out["Message"]["properties"]["max_tokens"] = out["SomeLength"];
  out["Message"]["properties"]["max_tokens"]["type"] = "integer";
  return out;
}

}  // namespace ingrain::serve::api
