#include "serve/api/memories_api.h"

#include "serve/api/fields.h"
#include "base/utf8.h"

#include <algorithm>

namespace ingrain::serve::api {
namespace {

void read_memory_fields(Fields& fields, MemoryAsk& out) {
  if (const auto text = fields.string("text")) {
    out.texts.push_back(*text);
    out.sources.emplace_back();
  }
  out.stream = fields.boolean("stream").value_or(false);
}

void add_memory_text(MemoryAsk& out, FormPart&& part) {
  if (part.body.substr(0, 8192).find('\0') != std::string::npos)
    refuse("file", "'{}' holds zero bytes: it is no text", utf8_lossy(part.filename).substr(0, 100));
  out.texts.push_back(std::move(part.body));
  out.sources.push_back(utf8_lossy(part.filename));
}

bool read_form_flag(const FormPart& part) {
  if (part.body == "true" || part.body == "1") return true;
  if (part.body != "false" && part.body != "0") refuse(part.name, "'{}' must be true or false", part.name);
  return false;
}

MemoryAsk read_memory_form(const Request& request, const std::string& type, bool anew) {
  MemoryAsk out;
  for (FormPart& part : read_form_data(type, request.body)) {
    if (part.name == "file" || part.name == "text")
      add_memory_text(out, std::move(part));
    else if (part.name == "stream")
      out.stream = read_form_flag(part);
    else if (anew && part.name == "memory")
      out.file = std::move(part.body);
    else if (anew && part.name == "notes")
      out.notes = std::move(part.body);
    else if (anew && part.name == "name")
      out.name = std::move(part.body);
    else if (anew && part.name == "from")
      out.from = std::move(part.body);
    else if (anew && part.name == "response")
      out.response = std::move(part.body);
    else
      refuse_unsupported(part.name);
  }
  return out;
}

std::string type_of(const Request& request) {
  const auto type = request.headers.find("Content-Type");
  return type == request.headers.end() ? std::string() : type->second;
}

}  // namespace

void check_memory_name(const std::string& name, const std::string& param) {
  const bool bad = name.empty() || count_utf8(name) > 100 || name.starts_with("mem_") || name.find('/') != name.npos ||
                   !is_utf8(name) ||
                   std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (bad)
    refuse(param,
           "'{}' must be 1 to 100 characters of text without control characters and '/', and not begin with 'mem_'",
           param);
}

MemoryAsk read_memory_request(const Request& request) {
  MemoryAsk out;
  if (const std::string type = type_of(request); type.starts_with("multipart/form-data")) {
    out = read_memory_form(request, type, /*anew=*/true);
  } else {
    const Json body = parse_body(request.body);
    Fields fields(body);
    read_memory_fields(fields, out);
    out.name = fields.string("name").value_or("");
    out.from = fields.string("from").value_or("");
    out.response = fields.string("response").value_or("");
    fields.refuse_unread();
  }
  if (!out.name.empty()) check_memory_name(out.name, "name");
  if (!out.from.empty() && !out.response.empty()) refuse("from", "'from' and 'response' exclude each other");
  if (out.file && (!out.texts.empty() || !out.from.empty() || !out.response.empty()))
    refuse("memory", "'memory' is a whole memory; nothing is read into it here: POST /v1/memories/ID/read does that");
  if (out.notes && !out.file) refuse("notes", "'notes' belong to a memory file: send it as 'memory'");
  if (!out.file && out.texts.empty() && out.from.empty() && out.response.empty())
    refuse("text", "'text' is required: what the memory is to read");
  return out;
}

MemoryAsk read_memory_addition(const Request& request) {
  MemoryAsk out;
  if (const std::string type = type_of(request); type.starts_with("multipart/form-data")) {
    out = read_memory_form(request, type, /*anew=*/false);
  } else {
    const Json body = parse_body(request.body);
    Fields fields(body);
    read_memory_fields(fields, out);
    fields.refuse_unread();
  }
  if (out.texts.empty()) refuse("text", "'text' is required: what the memory is to read");
  return out;
}

MemoryChange read_memory_name(const Json& body) {
  Fields fields(body);
  MemoryChange out{fields.need_string("name")};
  fields.refuse_unread();
  check_memory_name(out.name, "name");
  return out;
}

}  // namespace ingrain::serve::api
