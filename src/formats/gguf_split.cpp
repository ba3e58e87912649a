#include "formats/gguf_split.h"

#include "base/error.h"
#include "base/text.h"
#include "formats/gguf.h"

#include <algorithm>
#include <charconv>

namespace ingrain::formats {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPartDigits = 5;
constexpr std::string_view kPartEnd = ".gguf", kPartOf = "-of-";
constexpr const char *kSplitNo = "split.no", *kSplitCount = "split.count", *kSplitTensors = "split.tensors.count";

std::optional<uint64_t> five_digits(std::string_view text) {
  uint64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.size() != kPartDigits || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

std::string part_file(const std::string& stem, uint64_t number, uint64_t count) {
  return fmt::format("{}-{:05}-of-{:05}{}", stem, number, count, kPartEnd);
}

/// Which part a file is, from 0, of how many.
struct PartNumbers {
  uint64_t no, count;
};
PartNumbers part_numbers(const Gguf& file) {
  const PartNumbers out{file.get<uint64_t>(kSplitNo).value_or(0), file.get<uint64_t>(kSplitCount).value_or(1)};
  require(out.count <= kMaxGgufParts, "{}: metadata '{}' is {}; files of up to {} parts can be read", file.name(),
          kSplitCount, out.count, kMaxGgufParts);
  require(out.count <= 1 || out.no < out.count, "{}: metadata '{}' is {}, and there are {} parts; the file is damaged",
          file.name(), kSplitNo, out.no, out.count);
  return out;
}

/// All parts of the file that `part`, at `path`, is one of, in their order.
std::vector<fs::path> parts_beside(const Gguf& part, const fs::path& path) {
  const auto [no, count] = part_numbers(part);
  const auto name = gguf_part_name(path.filename().string());
  require(name && name->number == no + 1 && name->count == count,
          "{}: is part {} of a GGUF file of {} parts, and the others cannot be found by its name; call it {}",
          path.string(), no + 1, count, part_file(name ? name->stem : path.stem().string(), no + 1, count));
  std::vector<fs::path> out;
  for (uint64_t i = 1; i <= count; ++i) {
    out.push_back(path.parent_path() / part_file(name->stem, i, count));
    require(fs::is_regular_file(out.back()),
            "{}: is part {} of {}, and part {} is not beside it: {} is missing; put all parts into one folder",
            path.string(), no + 1, count, i, out.back().filename().string());
  }
  return out;
}

/// A part has nothing in its metadata that the first contradicts.
void require_of_same_file(const Gguf& first, const Gguf& part) {
  for (const auto& [key, value] : part.metadata()) {
    if (key == kSplitNo || key == "general.alignment") continue;
    const auto found = first.metadata().find(key);
    require(found == first.metadata().end() || found->second == value,
            "{}: metadata '{}' is another than in {}: these are parts of different files; put those of one file "
            "beside each other",
            part.name(), printable(key), first.name());
  }
}

}  // namespace

std::optional<GgufPartName> gguf_part_name(const std::string& file_name) {
  constexpr size_t kTail = 1 + kPartDigits + kPartOf.size() + kPartDigits + kPartEnd.size();  // "-00001-of-00003.gguf"
  if (file_name.size() <= kTail) return std::nullopt;
  const std::string_view tail = std::string_view(file_name).substr(file_name.size() - kTail);
  const auto number = five_digits(tail.substr(1, kPartDigits));
  const auto count = five_digits(tail.substr(1 + kPartDigits + kPartOf.size(), kPartDigits));
  if (tail[0] != '-' || tail.substr(1 + kPartDigits, kPartOf.size()) != kPartOf || !tail.ends_with(kPartEnd) ||
      !number || !count || *number < 1 || *number > *count)
    return std::nullopt;
  return GgufPartName{file_name.substr(0, file_name.size() - kTail), *number, *count};
}

bool names_gguf_model(const std::string& file_name) {
  const auto part = gguf_part_name(file_name);
  return file_name.ends_with(kPartEnd) && (!part || part->number == 1);
}

void Gguf::open_parts(const fs::path& path) {
  const std::vector<fs::path> paths = parts_beside(*this, path);
  files_.clear();
  std::vector<GgufPart> parts;
  for (const fs::path& part : paths) {
    files_.emplace_back(part);
    parts.push_back({files_.back().bytes(), part.string()});
  }
  join(parts);
}

void Gguf::join(const std::vector<GgufPart>& parts) {
  std::vector<Gguf> read;
  for (const GgufPart& part : parts) {
    const Gguf& file = read.emplace_back(part.bytes, part.name);
    const auto [no, count] = part_numbers(file);
    require(count == parts.size() && no + 1 == read.size(),
            "{}: says that it is part {} of {}, where part {} of {} is needed; it belongs to another file", part.name,
            no + 1, count, read.size(), parts.size());
    require_of_same_file(read[0], file);
  }
  const auto expected = read[0].get<uint64_t>(kSplitTensors);
  tensors_.clear();
  tensor_index_.clear();
  metadata_ = std::move(read[0].metadata_);
  raw_ = std::move(read[0].raw_);
  for (const char* key : {kSplitNo, kSplitCount, kSplitTensors}) metadata_.erase(key);
  std::erase_if(raw_, [](const GgufRawValue& value) { return value.key.starts_with("split."); });
  for (Gguf& file : read)
    for (GgufTensor& tensor : file.tensors_) {
      require(tensor_index_.emplace(tensor.name, tensors_.size()).second, "{}: tensor '{}' is in another part, too",
              file.name_, printable(tensor.name));
      tensors_.push_back(std::move(tensor));
    }
  require(!expected || *expected == tensors_.size(),
          "{}: its {} parts hold {} tensors, and '{}' says {}: a part is of another file", name_, parts.size(),
          tensors_.size(), kSplitTensors, expected.value_or(0));
}

}  // namespace ingrain::formats
