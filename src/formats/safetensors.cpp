#include "formats/safetensors.h"

#include "base/error.h"
#include "base/text.h"
#include "formats/dtype_table.h"
#include "formats/safetensors_header.h"

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace ingrain::formats {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kAlignment = 64;

uint64_t load_u64_le(const uint8_t* at) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | at[i];
  return value;
}

std::string json_string(const std::string& text, const std::filesystem::path& path) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::type_error&) {
    fail("{}: cannot write: '{}' is not UTF-8 text; names and metadata must be", path.string(), printable(text));
  }
}

}  // namespace

size_t dtype_bits(DType dtype) { return kDTypes[static_cast<size_t>(dtype)].bits; }

size_t dtype_size(DType dtype) { return (dtype_bits(dtype) + 7) / 8; }

std::string_view dtype_name(DType dtype) { return kDTypes[static_cast<size_t>(dtype)].name; }

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path), file_(path) {
  if (file_.size() < kLengthBytes) {
    fail("{}: {} bytes are too short for a safetensors file; fetch or write it again", path.string(), file_.size());
  }
  const uint64_t header_bytes = load_u64_le(file_.data());
  if (header_bytes > kMaxHeaderBytes || header_bytes > file_.size() - kLengthBytes) {
    fail(
        "{}: header length {} is beyond the file's {} bytes or the limit of {}; the file is cut off or no "
        "safetensors file",
        path.string(), header_bytes, file_.size(), kMaxHeaderBytes);
  }
  data_start_ = kLengthBytes + header_bytes;
  auto header =
      parse_safetensors_header(file_.bytes().substr(kLengthBytes, header_bytes), file_.size() - data_start_, path);
  tensors_ = std::move(header.tensors);
  metadata_ = std::move(header.metadata);
}

bool SafetensorsFile::contains(std::string_view name) const { return tensors_.count(std::string(name)) > 0; }

const TensorEntry& SafetensorsFile::at(std::string_view name) const {
  const auto found = tensors_.find(std::string(name));
  if (found != tensors_.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& item : tensors_) names.push_back(item.first);
  fail("{}: has no tensor '{}'{}", path_.string(), printable(name), did_you_mean(name, names));
}

std::span<const uint8_t> SafetensorsFile::bytes(std::string_view name) const {
  const TensorEntry& entry = at(name);
  return {file_.data() + data_start_ + entry.begin, static_cast<size_t>(entry.end - entry.begin)};
}

void SafetensorsWriter::add_item(std::string name, Item item) {
  const auto expected = shape_bytes(item.shape, dtype_bits(item.dtype));
  if (!expected || *expected != item.size) {
    fail("tensor '{}': {} bytes do not fit {} [{}]", printable(name), item.size, dtype_name(item.dtype),
         fmt::join(item.shape, ", "));
  }
  require(name != "__metadata__", "a tensor cannot be named '__metadata__'");
  const auto [at, added] = items_.try_emplace(std::move(name), std::move(item));
  require(added, "tensor '{}' was added twice", printable(at->first));
}

void SafetensorsWriter::add(std::string name, DType dtype, std::vector<int64_t> shape, std::span<const uint8_t> bytes) {
  add_item(std::move(name), {dtype, std::move(shape), bytes.size(), bytes.data()});
}

void SafetensorsWriter::declare(std::string name, DType dtype, std::vector<int64_t> shape) {
  const uint64_t size = shape_bytes(shape, dtype_bits(dtype)).value_or(0);
  add_item(std::move(name), {dtype, std::move(shape), size, nullptr});
}

void SafetensorsWriter::metadata(std::string key, std::string value) { metadata_[std::move(key)] = std::move(value); }

std::vector<const SafetensorsWriter::Named*> SafetensorsWriter::in_file_order() const {
  std::vector<const Named*> order;
  for (const Named& item : items_) order.push_back(&item);
  const auto place = [](const Named* item) {
    return std::pair(item->second.size % kAlignment != 0, -static_cast<int64_t>(dtype_size(item->second.dtype)));
  };
  std::stable_sort(order.begin(), order.end(), [&](const Named* a, const Named* b) { return place(a) < place(b); });
  return order;
}

std::string SafetensorsWriter::header(const std::filesystem::path& path) const {
  std::vector<std::string> members;
  if (!metadata_.empty()) {
    std::vector<std::string> pairs;
    for (const auto& [key, value] : metadata_) {
      pairs.push_back(json_string(key, path) + ":" + json_string(value, path));
    }
    members.push_back(fmt::format("\"__metadata__\":{{{}}}", fmt::join(pairs, ",")));
  }
  uint64_t at = 0;
  for (const Named* item : in_file_order()) {
    const auto& [dtype, shape, size, bytes] = item->second;
    members.push_back(fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                                  json_string(item->first, path), dtype_name(dtype), fmt::join(shape, ","), at,
                                  at + size));
    at += size;
  }
  std::string out = fmt::format("{{{}}}", fmt::join(members, ","));
  out.append((kAlignment - (kLengthBytes + out.size()) % kAlignment) % kAlignment, ' ');
  require(out.size() <= kMaxHeaderBytes, "{}: names and metadata need {} bytes; at most {} fit a safetensors header",
          path.string(), out.size(), kMaxHeaderBytes);
  return out;
}

SafetensorsLayout SafetensorsWriter::layout(const std::filesystem::path& path) const {
  const std::string text = header(path);
  SafetensorsLayout out;
  for (size_t i = 0; i < kLengthBytes; ++i) out.beginning += static_cast<char>(text.size() >> (8 * i));
  out.beginning += text;
  for (const Named* item : in_file_order()) {
    out.places[item->first] = out.size;
    out.size += item->second.size;
  }
  return out;
}

void SafetensorsWriter::write(const std::filesystem::path& path) const {
  AtomicFile file(path);
  file.write(layout(path).beginning);
  for (const Named* item : in_file_order()) file.write(item->second.bytes, item->second.size);
  file.commit();
}

}  // namespace ingrain::formats
