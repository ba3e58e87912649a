#include "data/documents.h"

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "data/byte_reader.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace ingrain::data {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSniffBytes = 8192;
constexpr size_t kReadBytes = 1 << 18;

/// The name without .gz or .zst.
fs::path plain_name(const fs::path& path) {
  const fs::path extension = path.extension();
  return extension == ".gz" || extension == ".zst" ? path.stem() : path.filename();
}

Source make_source(const fs::path& path) {
  std::error_code error;
  const uint64_t bytes = fs::file_size(path, error);
  if (error) fail("{}: cannot read: {}", path.string(), error.message());
  const fs::path extension = plain_name(path).extension();
  return {path, bytes, extension == ".jsonl" || extension == ".ndjson"};
}

/// Whether a file met in a folder is text that was asked for.
bool wanted(const fs::path& path, const DocumentOptions& options) {
  const std::string extension = plain_name(path).extension().string();
  if (!options.extensions.empty()) {
    if (std::find(options.extensions.begin(), options.extensions.end(), extension) == options.extensions.end()) {
      return false;
    }
  }
  std::string head(kSniffBytes, '\0');
  head.resize(open_bytes(path)->read(head.data(), head.size()));
  return head.find('\0') == head.npos;
}

void add_folder(const fs::path& folder, const DocumentOptions& options, SourceList& out) {
  std::vector<fs::path> paths;
  const auto hidden = [](const fs::path& path) { return path.filename().string().starts_with('.'); };
  for (auto at = fs::recursive_directory_iterator(folder); at != fs::recursive_directory_iterator(); ++at) {
    if (hidden(at->path())) {
      if (at->is_directory())
        at.disable_recursion_pending();
      else
        ++out.skipped;
    } else if (at->is_regular_file()) {
      paths.push_back(at->path());
    }
  }
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths) {
    if (wanted(path, options))
      out.sources.push_back(make_source(path));
    else
      ++out.skipped;
  }
}

void one_document_per_file(const Source& source, const DocumentOptions& options, ByteReader& reader,
                           const std::function<bool(std::string_view, uint64_t)>& visit) {
  std::string text;
  for (size_t n = kReadBytes; n == kReadBytes;) {
    const size_t filled = text.size();
    text.resize(filled + kReadBytes);
    n = reader.read(text.data() + filled, kReadBytes);
    text.resize(filled + n);
    require(text.size() <= options.max_document_bytes,
            "{}: larger than {} bytes as one document; split it, or make it JSONL with a document per line",
            source.path.string(), options.max_document_bytes);
  }
  visit(text, reader.consumed());
}

/// The document in a JSONL line. `where` is "file:line".
std::string document_of_line(std::string_view line, const std::string& field, const std::string& where) {
  const nlohmann::json json = parse_json(line, where);
  require(json.is_object(), "{}: no JSON object; JSONL needs one per line", where);
  const auto found = json.find(field);
  if (found == json.end()) {
    std::vector<std::string> names;
    for (const auto& [name, value] : json.items()) {
      if (value.is_string() && names.size() < 8) names.push_back(printable(name, 40));
    }
    fail("{}: has no field '{}' (fields with text: {}); choose one with --field", where, field,
         names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
  }
  require(found->is_string(), "{}: field '{}' is not text; choose another with --field", where, field);
  return found->get<std::string>();
}

void one_document_per_line(const Source& source, const DocumentOptions& options, ByteReader& reader,
                           const std::function<bool(std::string_view, uint64_t)>& visit) {
  std::string buffer;
  size_t line_number = 0;
  const auto take_line = [&](std::string_view line) {
    ++line_number;
    if (line.find_first_not_of(" \t\r") == line.npos) return true;
    const std::string where = fmt::format("{}:{}", source.path.string(), line_number);
    return visit(document_of_line(line, options.field, where), reader.consumed());
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

SourceList find_sources(const std::vector<fs::path>& inputs, const DocumentOptions& options) {
  SourceList out;
  for (const fs::path& input : inputs) {
    std::error_code error;
    if (!fs::exists(input, error)) fail("{}: there is no such file or folder", input.string());
    try {
      if (fs::is_directory(input))
        add_folder(input, options, out);
      else
        out.sources.push_back(make_source(input));
    } catch (const fs::filesystem_error& e) {
      fail("{}: cannot read: {}", e.path1().string(), e.code().message());
    }
  }
  for (const Source& source : out.sources) out.bytes += source.bytes;
  require(!out.sources.empty(),
          "no text file was found in what was given ({} were left out: hidden, binary or of another extension)",
          out.skipped);
  return out;
}

void for_each_document(const Source& source, const DocumentOptions& options,
                       const std::function<bool(std::string_view, uint64_t)>& visit) {
  const auto reader = open_bytes(source.path);
  if (source.jsonl)
    one_document_per_line(source, options, *reader, visit);
  else
    one_document_per_file(source, options, *reader, visit);
}

}  // namespace ingrain::data
