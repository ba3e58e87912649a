// Bodies of requests and replies, for the OpenAPI document.
#include "serve/api/openapi.h"

namespace ingrain::serve::api {
namespace {

// What all requests for an answer may say.
constexpr const char* kCommonFields = R"({
  "model": {"type": ["string", "null"], "description": "One that /v1/models lists; without it the one that is served."},
  "memory": {"type": ["string", "null"], "description": "Begin from a copy of this named memory."},
  "notepad": {"type": ["object", "null"], "additionalProperties": false, "properties": {
    "enabled": {"type": "boolean"}, "passages": {"type": "integer", "minimum": 1, "maximum": 64}}},
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
  "learn": {"type": ["string", "null"], "enum": ["all", "input", "off", null]}
})";

constexpr const char* kOpenAiFields = R"({
  "stop": {"oneOf": [{"type": "null"}, {"type": "string", "minLength": 1},
                     {"type": "array", "maxItems": 16, "items": {"type": "string", "minLength": 1}}]},
  "logit_bias": {"type": ["object", "null"], "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100}},
  "user": {}, "safety_identifier": {}, "prompt_cache_key": {}, "prompt_cache_retention": {},
  "service_tier": {"enum": ["auto", "default", null]},
  "metadata": {"type": ["object", "null"], "maxProperties": 16, "additionalProperties": {"type": "string", "maxLength": 512}},
  "stream_options": {"type": ["object", "null"]},
  "tools": {"type": ["array", "null"], "maxItems": 128, "items": {"type": "object"}},
  "tool_choice": {"oneOf": [{"type": "null"}, {"enum": ["auto", "none", "required"]}, {"type": "object"}]},
  "parallel_tool_calls": {"type": ["boolean", "null"]}
})";

constexpr const char* kChatFields = R"({
  "messages": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["role"], "properties": {
    "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
    "content": {"type": ["string", "array", "null"]}, "name": {"type": ["string", "null"]},
    "tool_call_id": {"type": "string"}, "tool_calls": {"type": ["array", "null"]}}}},
  "max_tokens": {"type": ["integer", "null"], "minimum": 0}, "max_completion_tokens": {"type": ["integer", "null"], "minimum": 0},
  "n": {"type": ["integer", "null"], "minimum": 1, "maximum": 16},
  "logprobs": {"type": ["boolean", "null"]}, "top_logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20},
  "response_format": {"type": ["object", "null"]}, "store": {"enum": [false, null]},
  "modalities": {"enum": [["text"], null]}, "reasoning_effort": {"enum": ["none", null]}
})";

constexpr const char* kCompletionFields = R"({
  "prompt": {"oneOf": [{"type": "null"}, {"type": "string"},
    {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
    {"type": "array", "maxItems": 64, "minItems": 1, "items": {"oneOf": [{"type": "string"},
      {"type": "array", "items": {"type": "integer", "minimum": 0}}]}}]},
  "max_tokens": {"type": ["integer", "null"], "minimum": 0}, "n": {"type": ["integer", "null"], "minimum": 1, "maximum": 16},
  "logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20}, "response_format": {"type": ["object", "null"]},
  "best_of": {"type": ["integer", "null"]}, "echo": {"enum": [false, null]}, "suffix": {"enum": ["", null]}
})";

constexpr const char* kResponsesFields = R"({
  "input": {"oneOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "object"}}]},
  "instructions": {"type": ["string", "null"]}, "previous_response_id": {"type": ["string", "null"]}, "thread": {"type": ["string", "null"]},
  "conversation": {"oneOf": [{"type": "null"}, {"type": "string"}, {"type": "object", "required": ["id"]}]},
  "store": {"type": ["boolean", "null"]}, "max_output_tokens": {"type": ["integer", "null"], "minimum": 1},
  "text": {"type": ["object", "null"]}, "top_logprobs": {"type": ["integer", "null"], "minimum": 0, "maximum": 20},
  "include": {"type": ["array", "null"], "items": {"enum": ["message.output_text.logprobs", "reasoning.encrypted_content"]}},
  "truncation": {"enum": ["disabled", "auto", null]}, "background": {"enum": [false, null]}, "reasoning": {"type": ["object", "null"]}
})";

constexpr const char* kMessagesFields = R"({
  "messages": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["role", "content"]}},
  "system": {"type": ["string", "array", "null"]}, "max_tokens": {"type": "integer", "minimum": 1},
  "stop_sequences": {"type": ["array", "null"], "maxItems": 16, "items": {"type": "string", "minLength": 1}},
  "tools": {"type": ["array", "null"], "maxItems": 128, "items": {"type": "object"}}, "tool_choice": {"type": ["object", "null"]},
  "thinking": {"type": ["object", "null"]}, "metadata": {"type": ["object", "null"]},
  "service_tier": {"enum": ["auto", "standard_only", null]}, "cache_control": {}
})";

constexpr const char* kOthers = R"({
  "Error": {"type": "object", "required": ["error"], "properties": {"type": {"const": "error"}, "error": {"type": "object", "required": ["message", "type"],
    "properties": {"message": {"type": "string"}, "type": {"type": "string"}, "param": {"type": ["string", "null"]},
                   "code": {"type": ["string", "null"]}}}}},
  "Object": {"type": "object"},
  "List": {"type": "object", "required": ["object", "data"], "properties": {"object": {"const": "list"}, "data": {"type": "array"}}},
  "Conversation": {"type": "object", "additionalProperties": false, "properties": {
    "metadata": {"type": ["object", "null"], "maxProperties": 16, "additionalProperties": {"type": "string", "maxLength": 512}},
    "items": {"type": ["array", "null"], "maxItems": 20, "items": {"type": "object"}}}},
  "Metadata": {"type": "object", "additionalProperties": false, "required": ["metadata"], "properties": {
    "metadata": {"type": "object", "maxProperties": 16, "additionalProperties": {"type": "string", "maxLength": 512}}}},
  "Items": {"type": "object", "additionalProperties": false, "required": ["items"], "properties": {
    "items": {"type": "array", "minItems": 1, "maxItems": 20, "items": {"type": "object"}}}},
  "NewMemory": {"type": "object", "additionalProperties": false, "properties": {
    "name": {"type": ["string", "null"], "minLength": 1, "maxLength": 100}, "text": {"type": ["string", "null"], "minLength": 1},
    "from": {"type": ["string", "null"]}, "response": {"type": ["string", "null"]}, "stream": {"type": ["boolean", "null"]}}},
  "MoreText": {"type": "object", "additionalProperties": false, "required": ["text"], "properties": {
    "text": {"type": "string", "minLength": 1}, "stream": {"type": ["boolean", "null"]}}},
  "Name": {"type": "object", "additionalProperties": false, "required": ["name"], "properties": {
    "name": {"type": "string", "minLength": 1, "maxLength": 100}}},
  "Tokenize": {"type": "object", "additionalProperties": false, "required": ["content"], "properties": {
    "content": {"type": "string"}, "parse_special": {"type": ["boolean", "null"]}, "add_special": {"enum": [false, null]}, "model": {}}},
  "Detokenize": {"type": "object", "additionalProperties": false, "required": ["tokens"], "properties": {
    "tokens": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 2147483647}}, "model": {}}}
})";

Json request_schema(std::initializer_list<const char*> fields, Json required) {
  Json properties = Json::object();
  for (const char* part : fields) properties.update(Json::parse(part));
  return {{"type", "object"},
          {"additionalProperties", false},
          {"required", std::move(required)},
          {"properties", std::move(properties)}};
}

}  // namespace

Json openapi_schemas() {
  Json out = Json::parse(kOthers);
  out["Chat"] = request_schema({kCommonFields, kOpenAiFields, kChatFields}, Json::array({"messages"}));
  out["Completion"] = request_schema({kCommonFields, kOpenAiFields, kCompletionFields}, Json::array());
  for (const char* name : {"metadata", "tools", "tool_choice", "parallel_tool_calls", "service_tier",
                           "safety_identifier", "prompt_cache_key", "prompt_cache_retention"})
    out["Completion"]["properties"].erase(name);
  out["Response"] = request_schema({kCommonFields, kOpenAiFields, kResponsesFields}, Json::array({"input"}));
  out["Message"] = request_schema({kCommonFields, kMessagesFields}, Json::array({"messages", "max_tokens"}));
  out["Message"]["properties"]["temperature"]["maximum"] = 1;
  out["Count"] = out["Message"];
  out["Count"]["required"] = Json::array({"messages"});
  return out;
}

}  // namespace ingrain::serve::api
