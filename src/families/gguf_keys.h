// GGUF metadata under the architecture's name: "llama.block_count" is size("block_count").
#pragma once

#include "formats/gguf_writer.h"

#include <optional>
#include <string>
#include <string_view>

namespace ingrain::families {

/// A view of a file that the caller keeps alive. Readers throw Error (naming file and key) for a value of the wrong
/// kind or beyond its bounds.
class GgufKeys {
 public:
  static constexpr uint64_t kMaxSize = uint64_t{1} << 31;

  GgufKeys(const formats::Gguf& file, std::string arch) : file_(file), arch_(std::move(arch)) {}

  std::string key(std::string_view name) const;
  bool has(std::string_view name) const { return file_.has(key(name)); }
  /// A whole number from 1 to `most`; one for each layer, too, if all are the same.
  std::optional<int64_t> size(std::string_view name, uint64_t most = kMaxSize) const;
  int64_t need_size(std::string_view name, uint64_t most = kMaxSize) const;
  /// A positive number.
  std::optional<double> number(std::string_view name) const;
  std::optional<std::string_view> text(std::string_view name) const;
  const formats::Gguf& file() const { return file_; }

 private:
  std::optional<uint64_t> whole_number(std::string_view name) const;

  const formats::Gguf& file_;
  std::string arch_;
};

/// The same keys of a file that is written.
struct GgufKeyWriter {
  std::string arch;
  formats::GgufWriter& file;

  template <class Value>
  void set(std::string_view name, const Value& value) const {
    file.set(arch + '.' + std::string(name), value);
  }
  /// Files hold sizes in 32 bits and factors in single precision.
  void size(std::string_view name, int64_t value) const { set(name, static_cast<uint32_t>(value)); }
  void number(std::string_view name, double value) const { set(name, static_cast<float>(value)); }
};

}  // namespace ingrain::families
