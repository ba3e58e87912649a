// /v1/memories: named memories, made by reading texts; multipart bodies.
#pragma once

#include "serve/api/reply.h"
#include "serve/http/server.h"

#include <map>
#include <optional>

namespace ingrain::serve::api {

/// multipart/form-data of at most 64 parts. 400 for what is malformed or has no end.
struct FormPart {
  std::string name, filename, type, body;
  bool is_file = false;
};
std::vector<FormPart> read_form_data(const std::string& content_type, std::string_view body);

/// What a new memory is made of.
struct MemoryAsk {
  std::string name;                  // may be empty: it is then found by its id alone
  std::vector<std::string> texts;    // read one after another
  std::vector<std::string> sources;  // what each is called: a file's name, or ""
  std::string from;                  // begins from a copy of this memory, by name or id
  std::string response;              // begins from what a response left
  std::optional<std::string> file;   // a memory file that is uploaded, in place of all these
  std::optional<std::string> notes;  // its notes
  bool stream = false;
};
/// JSON, or multipart/form-data: fields name, from, response, stream, text; files: "file" texts, "memory" a memory
/// file, "notes" what was downloaded as its notes.
MemoryAsk read_memory_request(const Request& request);

/// More to read into a memory: {"text", "stream"}, or multipart with files.
MemoryAsk read_memory_addition(const Request& request);

struct MemoryChange {
  std::string name;
};
MemoryChange read_memory_name(const Json& body);

/// A name is 1 to 100 characters of UTF-8 without control characters or '/', and does not begin like an id. 400.
void check_memory_name(const std::string& name, const std::string& param);

}  // namespace ingrain::serve::api
