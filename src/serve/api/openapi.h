// What is served, as OpenAPI 3.1 describes it.
#pragma once

#include "serve/api/ask.h"

namespace ingrain::serve::api {

/// Of the model that is served: what it takes decides what requests may say.
struct OpenApiOf {
  std::string version;
  std::vector<std::string> models;  // names
  bool tools = false, thoughts = false, names = false;
  bool keys = false;  // whether requests need one
  int64_t vocab_size = 1;
  AskLimits limits;
};

/// The document. Its paths are those of the routes' table (a test compares them). It says of every body which are taken
/// and which are refused, as far as a schema can; where it can't (which schemas a response_format may hold, which tools
/// a tool_choice may name), it describes less than is taken.
Json openapi(const OpenApiOf& of);

}  // namespace ingrain::serve::api
