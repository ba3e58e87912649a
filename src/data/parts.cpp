#include "data/parts.h"

#include "base/error.h"
#include "base/text.h"
#include "base/whole_number.h"

#include <algorithm>

namespace ingrain::data {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostParts = 99'999;

/// The number of parts that the folder's names speak of.
uint64_t parts_in(const fs::path& folder) {
  std::error_code error;
  std::vector<uint64_t> found;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    const size_t of = name.find("-of-");
    if (!name.starts_with("part-") || of == name.npos) continue;
    if (const auto number = whole_number<uint64_t>(name.substr(of + 4), 1, kMostParts)) found.push_back(*number);
  }
  require(!error, "{}: {}", folder.string(), error.message());
  require(!found.empty(), "{}: holds no parts; 'ingrain data prepare --part 1/N --out {}' makes them", folder.string(),
          folder.string());
  require(std::count(found.begin(), found.end(), found[0]) == std::ssize(found),
          "{}: holds parts of preparations in {} and in {} parts; remove those that do not belong here",
          folder.string(), *std::min_element(found.begin(), found.end()),
          *std::max_element(found.begin(), found.end()));
  return found[0];
}

void check_same(const fs::path& path, const Manifest& part, const Manifest& first) {
  const auto same = [&](const char* field, bool holds) {
    require(holds, "{}: field '{}' is not the first part's; prepare this part again with the same options",
            path.string(), field);
  };
  same("vocab_size", part.vocab_size == first.vocab_size);
  same("bos", part.bos == first.bos);
  same("tokenizer", part.tokenizer == first.tokenizer);
  same("sources", part.sources == first.sources);
}

}  // namespace

fs::path part_folder(const fs::path& output, const PartOf& part) {
  return output / fmt::format("part-{:05}-of-{:05}", part.number, part.of);
}

PartOf parse_part(const std::string& text, std::string_view option) {
  const size_t slash = text.find('/');
  const auto of = slash == text.npos ? std::nullopt : whole_number<uint64_t>(text.substr(slash + 1), 1, kMostParts);
  const auto number = of ? whole_number<uint64_t>(text.substr(0, slash), 1, *of) : std::nullopt;
  if (!number)
    fail_usage("{} '{}': must be a part's number and how many there are, as in 3/8", option, printable(text));
  return {*number, *of};
}

SourceList part_of(SourceList list, const PartOf& part) {
  const uint64_t files = list.sources.size();
  require(part.of <= files, "{} parts of {} files: a file is not divided; make fewer parts, or smaller files", part.of,
          files);
  // Where part p ends: at the first file that begins beyond p / n of the bytes, with files enough left for the others.
  uint64_t begin = 0, end = 0, bytes = 0;
  for (uint64_t p = 1; p <= part.number; ++p) {
    begin = end;
    const double until = static_cast<double>(list.bytes) * static_cast<double>(p) / static_cast<double>(part.of);
    const uint64_t last = files - (part.of - p);
    do bytes += list.sources[end++].bytes;
    while (end < last && (p == part.of || static_cast<double>(bytes) < until));
  }
  const auto at = [&](uint64_t i) { return list.sources.begin() + static_cast<std::ptrdiff_t>(i); };
  SourceList out{{at(begin), at(end)}, 0, std::move(list.files)};
  for (const Source& source : out.sources) out.bytes += source.bytes;
  return out;
}

Manifest merge_parts(const fs::path& folder) {
  Manifest out;
  const uint64_t of = parts_in(folder);
  for (uint64_t number = 1; number <= of; ++number) {
    const fs::path part = part_folder(folder, {number, of}), path = part / kManifestName;
    require(fs::exists(path), "{}: part {} of {} is not there; 'ingrain data prepare --part {}/{}' makes it",
            path.string(), number, of, number, of);
    Manifest here = read_manifest(path);
    require(here.part == PartOf{number, of}, "{}: field 'part' is not {} of {}; the folder was renamed", path.string(),
            number, of);
    if (number == 1) {
      out = here;
      out.shards.clear(), out.part.reset(), out.text_bytes = 0;
    }
    check_same(path, here, out);
    out.text_bytes += here.text_bytes;
    for (Manifest::Shard& shard : here.shards) {
      shard.file = part.filename().string() + "/" + shard.file;
      out.shards.push_back(std::move(shard));
    }
  }
  write_manifest(folder / kManifestName, out);
  return out;
}

}  // namespace ingrain::data
