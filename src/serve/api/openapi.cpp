#include "serve/api/openapi.h"

#include "serve/api/openapi_schemas.h"

#include <optional>
#include <string_view>

namespace ingrain::serve::api {
namespace {

struct Operation {
  const char *method, *path, *summary;
  const char* body;   // a schema's name, or ""
  const char* reply;  // a schema's name, or a media type
  bool stream = false;
};

// In the order of the routes' table (src/serve/routes/table.cpp), which a test compares with this.
constexpr Operation kOperations[] = {
    {"post", "/v1/chat/completions", "An answer to messages", "Chat", "Object", true},
    {"post", "/v1/completions", "A text goes on", "Completion", "Object", true},
    {"post", "/v1/messages", "An answer, in Anthropic's shape", "Message", "Object", true},
    {"post", "/v1/messages/count_tokens", "How many tokens messages are", "Count", "Object"},
    {"post", "/v1/responses", "An answer that can be gone on from", "Response", "Object", true},
    {"get", "/v1/responses/{id}", "A response", "", "Object"},
    {"delete", "/v1/responses/{id}", "Deletes a response", "", "Object"},
    {"get", "/v1/responses/{id}/input_items", "What was asked", "", "List"},
    {"post", "/v1/responses/{id}/cancel", "Refused: no response runs in the background", "", "Object"},
    {"post", "/v1/conversations", "A new conversation", "Conversation", "Object"},
    {"get", "/v1/conversations", "Conversations (ours)", "", "List"},
    {"get", "/v1/conversations/{id}", "A conversation", "", "Object"},
    {"post", "/v1/conversations/{id}", "Other metadata", "Metadata", "Object"},
    {"delete", "/v1/conversations/{id}", "Deletes a conversation and its items", "", "Object"},
    {"get", "/v1/conversations/{id}/responses", "Responses of its thread, with their input (ours)", "", "List"},
    {"get", "/v1/conversations/{id}/items", "What was said", "", "List"},
    {"post", "/v1/conversations/{id}/items", "Adds items", "Items", "List"},
    {"get", "/v1/conversations/{id}/items/{item}", "An item", "", "Object"},
    {"delete", "/v1/conversations/{id}/items/{item}", "Deletes an item", "", "Object"},
    {"post", "/v1/memories", "A new named memory", "NewMemory", "Object", true},
    {"get", "/v1/memories", "Named memories", "", "List"},
    {"get", "/v1/memories/{id}", "A memory, by id or name", "", "Object"},
    {"post", "/v1/memories/{id}", "Another name", "Name", "Object"},
    {"delete", "/v1/memories/{id}", "Deletes a memory", "", "Object"},
    {"post", "/v1/memories/{id}/fork", "A copy under another name", "Name", "Object"},
    {"post", "/v1/memories/{id}/read", "Reads more into a memory", "MoreText", "Object", true},
    {"get", "/v1/memories/{id}/content", "The memory as a file", "", "application/octet-stream"},
    {"get", "/v1/memories/{id}/notes", "Its notes as a file", "", "application/octet-stream"},
    {"get", "/v1/models", "The model that is served", "", "List"},
    {"get", "/v1/models/{id}", "The model", "", "Object"},
    {"post", "/tokenize", "A text's tokens", "Tokenize", "Object"},
    {"post", "/detokenize", "Tokens' text", "Detokenize", "Object"},
    {"get", "/health", "Whether the server is well", "", "Object"},
    {"get", "/metrics", "Figures for Prometheus", "", "text/plain"},
    {"get", "/openapi.json", "This document", "", "Object"},
    {"get", "/", "The page", "", "text/html"},
    {"get", "/page/{file}", "A file of the page", "", "text/javascript"},
};

Json reference(std::string_view schema) { return {{"$ref", fmt::format("#/components/schemas/{}", schema)}}; }

Json content(const char* type, Json schema) { return {{type, {{"schema", std::move(schema)}}}}; }

Json path_parameters(std::string_view path) {
  Json out = Json::array();
  for (size_t at = path.find('{'); at != path.npos; at = path.find('{', at + 1)) {
    const std::string_view name = path.substr(at + 1, path.find('}', at) - at - 1);
    out.push_back({{"name", name}, {"in", "path"}, {"required", true}, {"schema", reference("Id")}});
  }
  return out;
}

Json list_parameters() {
  return Json::parse(R"([
    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100}},
    {"name": "order", "in": "query", "schema": {"enum": ["asc", "desc"]}},
    {"name": "after", "in": "query", "schema": {"type": "string", "maxLength": 120, "pattern": "^[^\\x00-\\x1f\\x7f]*$"}}])");
}

Json operation_json(const Operation& operation, bool keys) {
  const std::string_view reply = operation.reply, path = operation.path;
  Json ok = reply.find('/') != reply.npos ? content(operation.reply, {{"type", "string"}})
                                          : content("application/json", reference(reply));
  if (operation.stream) ok["text/event-stream"] = Json::object();
  Json out = {{"summary", operation.summary}};
  Json parameters = path_parameters(path);
  if (reply == "List" && operation.method == std::string_view("get") && path != "/v1/models")
    for (const Json& parameter : list_parameters()) parameters.push_back(parameter);
  if (!parameters.empty()) out["parameters"] = std::move(parameters);
  if (*operation.body != '\0') {
    Json body = content("application/json", reference(operation.body));
    if (path == "/v1/memories" || path == "/v1/memories/{id}/read")
      body["multipart/form-data"] = {{"schema", reference(std::string(operation.body) + "Form")}};
    out["requestBody"] = {{"required", path != "/v1/conversations"}, {"content", std::move(body)}};
  }
  Json& responses = out["responses"];
  responses["200"] = {{"description", "What was asked for"}, {"content", std::move(ok)}};
  for (const auto& [status, what] : {std::pair("400", "Refused, naming the field"),
                                     {"401", "No valid key"},
                                     {"403", "From a page that may not ask"},
                                     {"404", "Not there, or another's"},
                                     {"405", "Another method"},
                                     {"409", "Taken, or in use"},
                                     {"413", "Too large"},
                                     {"429", "Too many requests"},
                                     {"500", "The server failed"},
                                     {"503", "Full or stopping"},
                                     {"default", "Refused as HTTP"}})
    responses[status] = {{"description", what}, {"content", content("application/json", reference("Error"))}};
  const bool open = path == "/" || path.starts_with("/page/") || path == "/health" || path == "/openapi.json";
  out["security"] = open || !keys ? Json::array() : Json::parse(R"([{"bearer": []}, {"key": []}])");
  return out;
}

}  // namespace

Json openapi(const OpenApiOf& of) {
  Json paths = Json::object();
  for (const Operation& operation : kOperations)
    paths[operation.path][operation.method] = operation_json(operation, of.keys);
  return {{"openapi", "3.1.0"},
          {"info", {{"title", "ingrain serve"}, {"version", of.version}, {"description", "docs/serving.md says more"}}},
          {"paths", std::move(paths)},
          {"components",
           {{"schemas", openapi_schemas(of)},
            {"securitySchemes",
             {{"bearer", {{"type", "http"}, {"scheme", "bearer"}}},
              {"key", {{"type", "apiKey"}, {"in", "header"}, {"name", "x-api-key"}}}}}}}};
}

}  // namespace ingrain::serve::api
