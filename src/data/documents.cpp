#include "data/documents.h"

#include "base/error.h"
#include "data/byte_reader.h"
#include "data/encoding.h"
#include "data/json_line.h"

#include <algorithm>

namespace ingrain::data {
namespace {

namespace fs = std::filesystem;

constexpr size_t kFirstLineBytes = 1 << 20;
constexpr size_t kReadBytes = 1 << 18;

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == line.npos; }

/// Whether the first line that is not blank is a document of its own.
bool begins_as_jsonl(const fs::path& path, const std::string& field) {
  std::string head(kFirstLineBytes, '\0');
  head.resize(open_bytes(path)->read(head.data(), head.size()));
  std::string_view rest = without_mark(head);
  for (;;) {
    const size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    if (!is_blank(line)) return (end != rest.npos || head.size() < kFirstLineBytes) && has_text_field(line, field);
    if (end == rest.npos) return false;
    rest.remove_prefix(end + 1);
  }
}

Source make_source(const fs::path& path, const DocumentOptions& options) {
  if (options.files.standard_input && path == "-") return {path};
  std::error_code error;
  const bool regular = fs::is_regular_file(path, error);
  const uint64_t bytes = regular ? fs::file_size(path, error) : 0;
  if (error) fail("{}: cannot read: {}", path.string(), error.message());
  const std::string extension = fs::path(plain_name(path)).extension().string();
  const bool jsonl = extension == ".jsonl" || extension == ".ndjson" ||
                     (extension == ".json" && regular && begins_as_jsonl(path, options.field));
  return {path, bytes, jsonl};
}

void one_document_per_line(const Source& source, const DocumentOptions& options, BadLines& bad, ByteReader& reader,
                           const std::function<bool(std::string_view, uint64_t)>& visit) {
  std::string buffer;
  size_t line_number = 0;
  const auto take_line = [&](std::string_view line) {
    if (++line_number == 1) line = without_mark(line);
    if (is_blank(line)) return true;
    const std::string where = fmt::format("{}:{}", source.path.string(), line_number);
    std::string text;
    try {
      text = field_of_line(line, options.field, where);
    } catch (const Error& e) {
      if (!options.skip_bad) throw;
      if (bad.count++ == 0) bad.first = e.what();
      return true;
    }
    return visit(text, reader.consumed());
  };
  for (size_t n = kReadBytes; n == kReadBytes;) {
    const size_t unfinished = buffer.size();
    buffer.resize(unfinished + kReadBytes);
    n = reader.read(buffer.data() + unfinished, kReadBytes);
    buffer.resize(unfinished + n);
    size_t begin = 0;
    for (size_t end; (end = buffer.find('\n', std::max(begin, unfinished))) != buffer.npos; begin = end + 1) {
      if (!take_line(std::string_view(buffer).substr(begin, end - begin))) return;
    }
    buffer.erase(0, begin);
    require(buffer.size() <= options.max_document_bytes, "{}:{}: a line of more than {} bytes; is this JSONL?",
            source.path.string(), line_number + 1, options.max_document_bytes);
  }
  take_line(buffer);
}

}  // namespace

std::string document_name(const Source& source, int64_t number) {
  const std::string file = source.path == "-" ? "standard input" : source.path.string();
  return source.jsonl ? fmt::format("{}:{}", file, number) : file;
}

SourceList find_sources(const std::vector<fs::path>& inputs, const DocumentOptions& options) {
  SourceList out;
  std::vector<std::string> names;
  for (const fs::path& input : inputs) names.push_back(input.string());
  FileRules rules = options.files;
  rules.field = options.field;
  out.files = find_text_files(names, rules);
  for (const fs::path& file : out.files.files) out.bytes += out.sources.emplace_back(make_source(file, options)).bytes;
  return out;
}

void for_each_document(const Source& source, const DocumentOptions& options, BadLines& bad,
                       const std::function<bool(std::string_view, uint64_t)>& visit) {
  const bool standard_input = options.files.standard_input && source.path == "-";
  const auto reader = standard_input ? open_standard_input() : open_bytes(source.path);
  if (source.jsonl) return one_document_per_line(source, options, bad, *reader, visit);
  const std::string name = standard_input ? "standard input" : source.path.string();
  const std::string text =
      read_to_end(*reader, options.max_document_bytes, name,
                  "as one document that is too much: split it, or make it JSONL with a document per line");
  require_text(text, name);  // a pipe's; files were looked at before
  visit(text, reader->consumed());
}

}  // namespace ingrain::data
