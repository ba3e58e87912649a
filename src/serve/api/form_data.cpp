#include "base/utf8.h"
#include "serve/api/memories_api.h"

#include <algorithm>

namespace ingrain::serve::api {
namespace {

constexpr size_t kMostParts = 64, kMostPartHead = 8192;

/// The value of NAME=VALUE or NAME="VALUE" in a header; nothing if there is none.
std::optional<std::string> parameter(std::string_view header, std::string_view name) {
  size_t at = header.find(';');
  while (at != header.npos) {
    std::string_view rest = header.substr(at + 1);
    while (rest.starts_with(' ')) rest.remove_prefix(1);
    const bool here = rest.size() > name.size() && rest.starts_with(name) && rest[name.size()] == '=';
    if (here) {
      rest.remove_prefix(name.size() + 1);
      if (!rest.starts_with('"')) return std::string(rest.substr(0, rest.find_first_of("; \r\n")));
      const size_t close = rest.find('"', 1);
      return close == rest.npos ? std::nullopt : std::optional(std::string(rest.substr(1, close - 1)));
    }
    // On to the next ';' outside of quotes.
    bool quoted = false;
    size_t next = at + 1;
    while (next < header.size() && (quoted || header[next] != ';')) quoted ^= header[next++] == '"';
    at = next < header.size() ? next : header.npos;
  }
  return std::nullopt;
}

FormPart read_part_head(std::string_view head) {
  FormPart out;
  while (!head.empty()) {
    const size_t end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    const size_t colon = line.find(':');
    if (colon == line.npos) refuse("", "multipart: a part's header line has no colon");
    const std::string name = in_ascii_lower(line.substr(0, colon));
    const std::string_view value = line.substr(std::min(line.find_first_not_of(' ', colon + 1), line.size()));
    if (name == "content-type") out.type = value;
    if (name != "content-disposition") continue;
    out.name = parameter(value, "name").value_or("");
    const auto filename = parameter(value, "filename");
    out.is_file = filename.has_value();
    out.filename = filename.value_or("");
  }
  if (out.name.empty()) refuse("", "multipart: a part has no name");
  return out;
}

}  // namespace

std::vector<FormPart> read_form_data(const std::string& content_type, std::string_view body) {
  const auto boundary = parameter(content_type, "boundary");
  if (!boundary || boundary->empty() || boundary->size() > 70)
    refuse("", "multipart/form-data needs a boundary of 1 to 70 characters in Content-Type");
  const std::string first = "--" + *boundary, between = "\r\n" + first;
  if (!body.starts_with(first)) refuse("", "multipart: the body does not begin with its boundary");
  body.remove_prefix(first.size());
  std::vector<FormPart> out;
  while (!body.starts_with("--")) {
    if (!body.starts_with("\r\n")) refuse("", "multipart: a boundary is not followed by a line's end");
    body.remove_prefix(2);
    const size_t head = body.substr(0, kMostPartHead).find("\r\n\r\n");
    if (head == body.npos) refuse("", "multipart: a part's headers have no end within {} bytes", kMostPartHead);
    const size_t end = body.find(between, head + 2);
    if (end == body.npos) refuse("", "multipart: the last boundary is missing");
    if (out.size() == kMostParts) refuse("", "multipart: more than {} parts", kMostParts);
    out.push_back(read_part_head(body.substr(0, head)));
    out.back().body = end < head + 4 ? std::string() : std::string(body.substr(head + 4, end - head - 4));
    body.remove_prefix(end + between.size());
  }
  return out;
}

}  // namespace ingrain::serve::api
