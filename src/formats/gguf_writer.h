// Writes GGUF files (version 3): metadata, then tensors one after the other, so that none but the one that is being
// written need be in memory.
#pragma once

#include "formats/gguf.h"

#include <functional>

namespace ingrain::formats {

class GgufWriter {
 public:
  /// Metadata, in the order of the calls. A key that is there already is replaced.
  void set(const std::string& key, std::string_view text);
  void set(const std::string& key, const char* text) { set(key, std::string_view(text)); }
  void set(const std::string& key, uint32_t number);
  void set(const std::string& key, float number);
  void set(const std::string& key, bool value);
  void set(const std::string& key, const std::vector<std::string>& texts);
  void set(const std::string& key, const std::vector<int32_t>& numbers);
  void set(const std::string& key, const std::vector<float>& numbers);
  /// As another file has it.
  void set(const GgufRawValue& value);
  /// All that another has.
  void set_all(const GgufWriter& other);
  bool has(std::string_view key) const;

  /// Names a tensor, whose bytes come later. shape: outermost first; a whole number of the type's blocks in a row.
  void tensor(const std::string& name, GgufType type, const std::vector<uint64_t>& shape);
  /// The bytes of a row of `length` numbers.
  static uint64_t row_bytes(GgufType type, uint64_t length);

  /// What comes before the data.
  std::string header() const;
  /// Of the whole file.
  uint64_t file_size() const;
  /// Writes the file, whole or not at all: fill(i, put) is called for each tensor in the order of tensor(), and calls
  /// put with its bytes, in as many pieces as it likes. Throws what fill throws.
  using Put = std::function<void(std::string_view bytes)>;
  void write(const std::filesystem::path& path, const std::function<void(size_t tensor, const Put& put)>& fill) const;

 private:
  struct Entry {
    std::string name;
    GgufType type;
    std::vector<uint64_t> shape;
    uint64_t bytes;
  };
  std::vector<std::pair<std::string, std::string>> values_;  // key; type and value
  std::vector<Entry> tensors_;

  void put_value(const std::string& key, std::string type_and_value);
};

}  // namespace ingrain::formats
