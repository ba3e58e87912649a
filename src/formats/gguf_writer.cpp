#include "formats/gguf_writer.h"

#include "base/error.h"

#include <algorithm>

namespace ingrain::formats {
namespace {

template <class T>
void append(std::string& out, T number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

void append_text(std::string& out, std::string_view text) {
  append<uint64_t>(out, text.size());
  out.append(text);
}

uint64_t aligned(uint64_t bytes) { return (bytes + kGgufAlignment - 1) / kGgufAlignment * kGgufAlignment; }

template <class T>
std::string one_value(GgufValueType type, T value) {
  std::string out;
  append(out, type);
  append(out, value);
  return out;
}

std::string array_of(GgufValueType type, size_t count) {
  std::string out;
  append(out, GgufValueType::Array);
  append(out, type);
  append<uint64_t>(out, count);
  return out;
}

template <class T>
std::string numbers_of(GgufValueType type, const std::vector<T>& numbers) {
  std::string out = array_of(type, numbers.size());
  for (const T number : numbers) append(out, number);
  return out;
}

}  // namespace

void GgufWriter::put_value(const std::string& key, std::string type_and_value) {
  const auto found = std::ranges::find(values_, key, [](const auto& value) { return value.first; });
  if (found != values_.end())
    found->second = std::move(type_and_value);
  else
    values_.emplace_back(key, std::move(type_and_value));
}

void GgufWriter::set(const std::string& key, std::string_view text) {
  std::string value;
  append(value, GgufValueType::String);
  append_text(value, text);
  put_value(key, std::move(value));
}

void GgufWriter::set(const std::string& key, uint32_t number) { put_value(key, one_value(GgufValueType::U32, number)); }
void GgufWriter::set(const std::string& key, float number) { put_value(key, one_value(GgufValueType::F32, number)); }
void GgufWriter::set(const std::string& key, bool value) {
  put_value(key, one_value(GgufValueType::Bool, static_cast<uint8_t>(value)));
}

void GgufWriter::set(const std::string& key, const std::vector<std::string>& texts) {
  std::string value = array_of(GgufValueType::String, texts.size());
  for (const std::string& text : texts) append_text(value, text);
  put_value(key, std::move(value));
}

void GgufWriter::set(const std::string& key, const std::vector<int32_t>& numbers) {
  put_value(key, numbers_of(GgufValueType::I32, numbers));
}
void GgufWriter::set(const std::string& key, const std::vector<float>& numbers) {
  put_value(key, numbers_of(GgufValueType::F32, numbers));
}

void GgufWriter::set(const GgufRawValue& value) { put_value(value.key, std::string(value.bytes)); }

void GgufWriter::set_all(const GgufWriter& other) {
  for (const auto& [key, value] : other.values_) put_value(key, value);
}

bool GgufWriter::has(std::string_view key) const {
  return std::ranges::any_of(values_, [&](const auto& value) { return value.first == key; });
}

uint64_t GgufWriter::row_bytes(GgufType type, uint64_t length) {
  const auto info = *gguf_type_info(static_cast<uint32_t>(type));
  return length / info.block_elements * info.block_bytes;
}

void GgufWriter::tensor(const std::string& name, GgufType type, const std::vector<uint64_t>& shape) {
  const auto info = *gguf_type_info(static_cast<uint32_t>(type));
  require(!shape.empty() && shape.back() % info.block_elements == 0,
          "tensor '{}': its rows of {} numbers are no whole "
          "blocks of {}",
          name, shape.empty() ? 0 : shape.back(), info.name);
  tensors_.push_back({name, type, shape, gguf_rows(shape) * row_bytes(type, shape.back())});
}

std::string GgufWriter::header() const {
  std::string out = "GGUF";
  append<uint32_t>(out, 3);
  append<uint64_t>(out, tensors_.size());
  append<uint64_t>(out, values_.size());
  for (const auto& [key, value] : values_) {
    append_text(out, key);
    out += value;
  }
  uint64_t offset = 0;
  for (const Entry& tensor : tensors_) {
    append_text(out, tensor.name);
    append(out, static_cast<uint32_t>(tensor.shape.size()));
    for (auto extent = tensor.shape.rbegin(); extent != tensor.shape.rend(); ++extent) append(out, *extent);
    append(out, tensor.type);
    append(out, offset);
    offset += aligned(tensor.bytes);
  }
  out.resize(aligned(out.size()));
  return out;
}

uint64_t GgufWriter::file_size() const {
  uint64_t out = header().size();
  for (const Entry& tensor : tensors_) out += aligned(tensor.bytes);
  return out;
}

void GgufWriter::write(const std::filesystem::path& path,
                       const std::function<void(size_t tensor, const Put& put)>& fill) const {
  AtomicFile file(path);
  file.write(header());
  for (size_t i = 0; i < tensors_.size(); ++i) {
    uint64_t written = 0;
    fill(i, [&](std::string_view bytes) {
      written += bytes.size();
      file.write(bytes);
    });
    require(written == tensors_[i].bytes, "tensor '{}': {} bytes were made, {} are needed", tensors_[i].name, written,
            tensors_[i].bytes);
    file.write(std::string(aligned(written) - written, '\0'));
  }
  file.commit();
}

}  // namespace ingrain::formats
