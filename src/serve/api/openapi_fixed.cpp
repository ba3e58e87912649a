// Messages, items, memories: what of the OpenAPI document is the same whatever the model.
#include "serve/api/openapi_schemas.h"

namespace ingrain::serve::api {
namespace {

constexpr const char* kTexts = R"({
  "Stop": {"anyOf": [{"type": "null"}, {"type": "string", "minLength": 1, "maxLength": 1024},
    {"type": "array", "maxItems": 16, "items": {"type": "string", "minLength": 1, "maxLength": 1024}}]},
  "MetadataPairs": {"type": "object", "maxProperties": 16, "propertyNames": {"maxLength": 64},
                    "additionalProperties": {"type": "string", "maxLength": 512}},
  "Text": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/components/schemas/TextPart"}}]},
  "NoEffect": {"description": "Accepted, and changes nothing here."},
  "TextPart": {"type": "object", "additionalProperties": false, "required": ["type", "text"], "properties": {
    "type": {"const": "text"}, "text": {"type": "string"}, "cache_control": {"$ref": "#/components/schemas/NoEffect"}, "citations": {"$ref": "#/components/schemas/NoEffect"}}},
  "RefusalPart": {"type": "object", "additionalProperties": false, "required": ["type", "refusal"], "properties": {
    "type": {"const": "refusal"}, "refusal": {"type": "string"}}},
  "AnswerSchema": {"description": "A JSON Schema; much more of it is supported than is said here: docs/serving-json.md",
    "anyOf": [
      {"type": "object", "additionalProperties": false, "properties": {
        "type": {"const": "object"}, "title": {}, "description": {}, "properties": {"type": "object",
          "additionalProperties": {"type": ["object", "boolean"], "additionalProperties": false, "properties": {
            "type": {"enum": ["string", "integer", "number", "boolean", "null"]}, "title": {}, "description": {}}}}}},
      {"type": "object", "additionalProperties": false, "properties": {
        "type": {"enum": ["string", "integer", "number", "boolean", "null"]}, "title": {}, "description": {}}}]},
  "ChatFormat": {"anyOf": [
    {"type": "null"},
    {"type": "object", "additionalProperties": false, "required": ["type"], "properties": {
      "type": {"enum": ["text", "json_object"]}}},
    {"type": "object", "additionalProperties": false, "required": ["type", "json_schema"], "properties": {
      "type": {"const": "json_schema"}, "json_schema": {"type": "object", "additionalProperties": false,
        "required": ["schema"], "properties": {"schema": {"$ref": "#/components/schemas/AnswerSchema"},
          "name": {"type": ["string", "null"]}, "description": {"type": ["string", "null"]}, "strict": {"type": ["boolean", "null"]}}}}}]},
  "TextFormat": {"anyOf": [
    {"type": "null"},
    {"type": "object", "additionalProperties": false, "required": ["type"], "properties": {
      "type": {"enum": ["text", "json_object"]}}},
    {"type": "object", "additionalProperties": false, "required": ["type", "schema"], "properties": {
      "type": {"const": "json_schema"}, "schema": {"$ref": "#/components/schemas/AnswerSchema"},
      "name": {"type": ["string", "null"]}, "description": {"type": ["string", "null"]}, "strict": {"type": ["boolean", "null"]}}}]}
})";

constexpr const char* kMessages = R"({
  "ChatCall": {"type": "object", "additionalProperties": false, "required": ["id", "function"], "properties": {
    "id": {"type": "string"}, "type": {"enum": ["function", null]}, "index": {"$ref": "#/components/schemas/NoEffect"},
    "function": {"type": "object", "additionalProperties": false, "required": ["name", "arguments"], "properties": {
      "name": {"type": "string"}, "arguments": {"type": "string"}}}}},
  "AssistantText": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"anyOf": [
    {"$ref": "#/components/schemas/TextPart"}, {"$ref": "#/components/schemas/RefusalPart"}]}}]},
  "ChatMessage": {"anyOf": [
    {"type": "object", "additionalProperties": false, "required": ["role", "content"], "properties": {
      "role": {"enum": ["system", "developer", "user"]}, "content": {"$ref": "#/components/schemas/Text"},
      "name": {"$ref": "#/components/schemas/MessageName"}}},
    {"type": "object", "additionalProperties": false, "required": ["role", "content"], "properties": {
      "role": {"const": "assistant"}, "content": {"$ref": "#/components/schemas/AssistantText"},
      "tool_calls": {"type": ["array", "null"], "maxItems": 128, "items": {"$ref": "#/components/schemas/ChatCall"}},
      "name": {"$ref": "#/components/schemas/MessageName"}, "reasoning_content": {"type": ["string", "null"]},
      "refusal": {"type": ["string", "null"]}, "annotations": {"$ref": "#/components/schemas/NoEffect"}}},
    {"type": "object", "additionalProperties": false, "required": ["role", "tool_calls"], "properties": {
      "role": {"const": "assistant"}, "content": {"type": "null"},
      "tool_calls": {"type": "array", "minItems": 1, "maxItems": 128, "items": {"$ref": "#/components/schemas/ChatCall"}},
      "name": {"$ref": "#/components/schemas/MessageName"}, "reasoning_content": {"type": ["string", "null"]},
      "refusal": {"type": ["string", "null"]}, "annotations": {"$ref": "#/components/schemas/NoEffect"}}},
    {"type": "object", "additionalProperties": false, "required": ["role", "content", "tool_call_id"], "properties": {
      "role": {"const": "tool"}, "content": {"$ref": "#/components/schemas/Text"}, "tool_call_id": {"type": "string"},
      "name": {"$ref": "#/components/schemas/MessageName"}}}]},
  "Turn": {"anyOf": [
    {"type": "object", "additionalProperties": false, "required": ["role", "content"], "properties": {
      "role": {"const": "user"}, "content": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"anyOf": [
        {"$ref": "#/components/schemas/TextBlock"},
        {"type": "object", "additionalProperties": false, "required": ["type", "tool_use_id"], "properties": {
          "type": {"const": "tool_result"}, "tool_use_id": {"type": "string"}, "is_error": {"type": ["boolean", "null"]},
          "content": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/Text"}]},
          "cache_control": {"$ref": "#/components/schemas/NoEffect"}, "citations": {"$ref": "#/components/schemas/NoEffect"}}}]}}]}}},
    {"type": "object", "additionalProperties": false, "required": ["role", "content"], "properties": {
      "role": {"const": "assistant"}, "content": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"anyOf": [
        {"$ref": "#/components/schemas/TextBlock"},
        {"type": "object", "additionalProperties": false, "required": ["type", "thinking"], "properties": {
          "type": {"const": "thinking"}, "thinking": {"type": "string"}, "signature": {"$ref": "#/components/schemas/NoEffect"},
          "cache_control": {"$ref": "#/components/schemas/NoEffect"}, "citations": {"$ref": "#/components/schemas/NoEffect"}}},
        {"type": "object", "additionalProperties": false, "required": ["type", "id", "name", "input"], "properties": {
          "type": {"const": "tool_use"}, "id": {"type": "string"}, "name": {"type": "string"},
          "input": {"type": "object"}, "cache_control": {"$ref": "#/components/schemas/NoEffect"}, "citations": {"$ref": "#/components/schemas/NoEffect"}}}]}}]}}}]},
  "TextBlock": {"type": "object", "additionalProperties": false, "required": ["type", "text"], "properties": {
    "type": {"const": "text"}, "text": {"type": "string"}, "cache_control": {"$ref": "#/components/schemas/NoEffect"}, "citations": {"$ref": "#/components/schemas/NoEffect"}}}
})";

constexpr const char* kItems = R"({
  "InputPart": {"anyOf": [{"$ref": "#/components/schemas/TextPart"},
    {"type": "object", "additionalProperties": false, "required": ["type", "text"], "properties": {
      "type": {"const": "input_text"}, "text": {"type": "string"}}}]},
  "OutputPart": {"anyOf": [{"$ref": "#/components/schemas/InputPart"},
    {"type": "object", "additionalProperties": false, "required": ["type", "text"], "properties": {
      "type": {"const": "output_text"}, "text": {"type": "string"}, "annotations": {"$ref": "#/components/schemas/NoEffect"}, "logprobs": {"$ref": "#/components/schemas/NoEffect"}}}]},
  "Item": {"anyOf": [
    {"type": "object", "additionalProperties": false, "required": ["role", "content"], "properties": {
      "type": {"enum": ["message", null]}, "role": {"enum": ["user", "system", "developer"]},
      "content": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/components/schemas/InputPart"}}]},
      "id": {"$ref": "#/components/schemas/NoEffect"}, "status": {"$ref": "#/components/schemas/NoEffect"}, "phase": {"type": "null"}}},
    {"type": "object", "additionalProperties": false, "required": ["role", "content"], "properties": {
      "type": {"enum": ["message", null]}, "role": {"const": "assistant"},
      "content": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"anyOf": [
        {"$ref": "#/components/schemas/OutputPart"}, {"$ref": "#/components/schemas/RefusalPart"}]}}]},
      "id": {"$ref": "#/components/schemas/NoEffect"}, "status": {"$ref": "#/components/schemas/NoEffect"}, "phase": {"type": "null"}}},
    {"type": "object", "additionalProperties": false, "required": ["type", "call_id", "name", "arguments"],
     "properties": {"type": {"const": "function_call"}, "call_id": {"type": "string"}, "name": {"type": "string"},
      "arguments": {"type": "string"}, "id": {"$ref": "#/components/schemas/NoEffect"}, "status": {"$ref": "#/components/schemas/NoEffect"}}},
    {"type": "object", "additionalProperties": false, "required": ["type", "call_id", "output"], "properties": {
      "type": {"const": "function_call_output"}, "call_id": {"type": "string"},
      "output": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/components/schemas/InputPart"}}]},
      "id": {"$ref": "#/components/schemas/NoEffect"}, "status": {"$ref": "#/components/schemas/NoEffect"}}},
    {"type": "object", "additionalProperties": false, "required": ["type"], "properties": {
      "type": {"const": "reasoning"}, "id": {"$ref": "#/components/schemas/NoEffect"}, "status": {"$ref": "#/components/schemas/NoEffect"}, "encrypted_content": {"type": "null"},
      "summary": {"type": ["array", "null"], "maxItems": 1024, "items": {"type": "object", "additionalProperties": false,
        "required": ["type", "text"], "properties": {"type": {"const": "summary_text"}, "text": {"type": "string"}}}},
      "content": {"anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": {"type": "object",
        "additionalProperties": false, "required": ["type", "text"], "properties": {
          "type": {"enum": ["reasoning_text", "text"]}, "text": {"type": "string"}}}}]}}}]}
})";

constexpr const char* kOthers = R"({
  "Error": {"type": "object", "required": ["error"], "properties": {"type": {"const": "error"}, "error": {"type": "object",
    "required": ["message", "type"], "properties": {"message": {"type": "string"}, "type": {"type": "string"},
      "param": {"type": ["string", "null"]}, "code": {"type": ["string", "null"]}}}}},
  "Object": {"type": "object"},
  "List": {"type": "object", "required": ["object", "data"], "properties": {"object": {"const": "list"}, "data": {"type": "array"}}},
  "Id": {"type": "string", "minLength": 1, "maxLength": 120, "pattern": "^(?!\\.\\.?$)[^\\x00-\\x1f\\x7f/\\\\]+$"},
  "Conversation": {"type": "object", "additionalProperties": false, "properties": {
    "metadata": {"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/MetadataPairs"}]},
    "items": {"type": ["array", "null"], "maxItems": 20, "items": {"$ref": "#/components/schemas/Item"}}}},
  "Metadata": {"type": "object", "additionalProperties": false, "required": ["metadata"], "properties": {
    "metadata": {"$ref": "#/components/schemas/MetadataPairs"}}},
  "Items": {"type": "object", "additionalProperties": false, "required": ["items"], "properties": {
    "items": {"type": "array", "minItems": 1, "maxItems": 20, "items": {"$ref": "#/components/schemas/Item"}}}},
  "NewMemory": {"type": "object", "additionalProperties": false, "properties": {
    "name": {"type": ["string", "null"], "maxLength": 100, "pattern": "^(?!mem_)[^\\x00-\\x1f\\x7f/]*$"},
    "text": {"type": ["string", "null"], "minLength": 1}, "from": {"type": ["string", "null"]},
    "response": {"type": ["string", "null"]}, "stream": {"type": ["boolean", "null"]}},
    "anyOf": [
      {"required": ["text"], "properties": {"text": {"type": "string"}, "response": {"type": "null"}}},
      {"required": ["text"], "properties": {"text": {"type": "string"}, "from": {"type": "null"}}},
      {"required": ["from"], "properties": {"from": {"type": "string", "minLength": 1}, "response": {"type": "null"}}},
      {"required": ["response"], "properties": {"response": {"type": "string", "minLength": 1}, "from": {"type": "null"}}}]},
  "NewMemoryForm": {"type": "object", "additionalProperties": false, "required": ["text"],
    "description": "Also, as parts: file (texts, several times), memory (a memory file) and its notes, from, response.", "properties": {
    "name": {"type": "string", "maxLength": 100, "pattern": "^(?!mem_)[^\\x00-\\x1f\\x7f/]*$"},
    "text": {"type": "string", "minLength": 1, "pattern": "^[^\\x00]+$"}, "stream": {"enum": ["true", "false", "1", "0"]}}},
  "MoreText": {"type": "object", "additionalProperties": false, "required": ["text"], "properties": {
    "text": {"type": "string", "minLength": 1}, "stream": {"type": ["boolean", "null"]}}},
  "MoreTextForm": {"type": "object", "additionalProperties": false, "required": ["text"],
    "description": "Also, as parts: file (texts, several times).", "properties": {
    "text": {"type": "string", "minLength": 1, "pattern": "^[^\\x00]+$"}, "stream": {"enum": ["true", "false", "1", "0"]}}},
  "Name": {"type": "object", "additionalProperties": false, "required": ["name"], "properties": {
    "name": {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^(?!mem_)[^\\x00-\\x1f\\x7f/]+$"}}},
  "Tokenize": {"type": "object", "additionalProperties": false, "required": ["content"], "properties": {
    "content": {"type": "string"}, "parse_special": {"type": ["boolean", "null"]}, "add_special": {"enum": [false, null]},
    "model": {"$ref": "#/components/schemas/ModelName"}}},
  "Detokenize": {"type": "object", "additionalProperties": false, "required": ["tokens"], "properties": {
    "tokens": {"type": "array"}, "model": {"$ref": "#/components/schemas/ModelName"}}}
})";

}  // namespace

Json fixed_schemas() {
  Json out = Json::object();
  for (const char* part : {kTexts, kMessages, kItems, kOthers}) out.update(Json::parse(part));
  return out;
}

}  // namespace ingrain::serve::api
