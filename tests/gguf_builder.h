// Writes GGUF files, right and wrong ones, for tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain {

/// Writes a GGUF file's bytes, right or wrong.
class GgufBuilder {
 public:
  template <class T>
  GgufBuilder& number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  GgufBuilder& raw(std::string_view text) { return bytes_ += text, *this; }
  GgufBuilder& text(std::string_view text) { return number<uint64_t>(text.size()).raw(text); }
  GgufBuilder& header(uint64_t tensors, uint64_t values, uint32_t version = 3) {
    return raw("GGUF").number(version).number(tensors).number(values);
  }
  GgufBuilder& tensor(std::string_view name, std::vector<uint64_t> dims, uint32_t type, uint64_t offset) {
    text(name).number<uint32_t>(static_cast<uint32_t>(dims.size()));
    for (const uint64_t d : dims) number(d);
    return number(type).number(offset);
  }
  GgufBuilder& data(size_t size) {
    bytes_.resize((bytes_.size() + 31) / 32 * 32);
    bytes_.append(size, '\0');
    return *this;
  }
  GgufBuilder& key(std::string_view name, std::string_view value) { return text(name).number<uint32_t>(8).text(value); }
  GgufBuilder& key(std::string_view name, uint32_t value) { return text(name).number<uint32_t>(4).number(value); }
  GgufBuilder& key(std::string_view name, float value) { return text(name).number<uint32_t>(6).number(value); }
  GgufBuilder& key(std::string_view name, bool value) { return text(name).number<uint32_t>(7).number<uint8_t>(value); }
  GgufBuilder& key(std::string_view name, const std::vector<std::string>& values) {
    text(name).number<uint32_t>(9).number<uint32_t>(8).number<uint64_t>(values.size());
    for (const std::string& value : values) text(value);
    return *this;
  }
  GgufBuilder& key(std::string_view name, const std::vector<int32_t>& values) {
    text(name).number<uint32_t>(9).number<uint32_t>(5).number<uint64_t>(values.size());
    for (const int32_t value : values) number(value);
    return *this;
  }
  GgufBuilder& key(std::string_view name, const std::vector<float>& values) {
    text(name).number<uint32_t>(9).number<uint32_t>(6).number<uint64_t>(values.size());
    for (const float value : values) number(value);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace ingrain
