// GGUF files from hostile hands: parse, describe, make a tokenizer, read every metadata value in every way, expand the
// last row of every tensor.
#include "base/error.h"
#include "formats/gguf.h"
#include "formats/gguf_quants.h"
#include "tokenizer/gguf_tokenizer.h"
#include "families/families.h"

namespace {

using ingrain::formats::Gguf;

template <class T>
void try_get(const Gguf& file, std::string_view key) {
  try {
    file.get<T>(key);
  } catch (const ingrain::Error&) {}
}

void read_everything(const Gguf& file) {
  for (const auto& [key, value] : file.metadata()) {
    try_get<uint64_t>(file, key);
    try_get<double>(file, key);
    try_get<std::string_view>(file, key);
    try_get<std::vector<std::string_view>>(file, key);
    try_get<std::vector<int64_t>>(file, key);
    try_get<std::vector<double>>(file, key);
  }
  for (const auto& tensor : file.tensors()) {
    std::vector<float> row(tensor.row_length());
    ingrain::formats::dequantize_rows(tensor, tensor.rows() - 1, 1, row);
  }
}

/// What an import makes of the metadata; each may refuse the file for a reason of its own.
void import_everything(const Gguf& file) {
  const auto attempt = [](const auto& read) {
    try {
      read();
    } catch (const ingrain::Error&) {}
  };
  attempt([&] { ingrain::families::read_gguf(file); });
  attempt([&] { ingrain::tokenizer::gguf_tokenizer_files(file); });
}

/// A file in parts: where the second one begins is said by two bytes at the end.
std::vector<ingrain::formats::GgufPart> two_parts(std::string_view bytes) {
  const size_t most = bytes.size() - 2;
  const size_t at =
      (static_cast<uint8_t>(bytes[most]) | static_cast<size_t>(static_cast<uint8_t>(bytes[most + 1])) << 8) %
      (most + 1);
  return {{bytes.substr(0, at), "first"}, {bytes.substr(at, most - at), "second"}};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const Gguf file({reinterpret_cast<const char*>(data), size}, "fuzz");
    import_everything(file);
    read_everything(file);
  } catch (const ingrain::Error&) {}
  if (size < 2) return 0;
  try {
    const Gguf file(two_parts({reinterpret_cast<const char*>(data), size}));
    read_everything(file);
  } catch (const ingrain::Error&) {}
  return 0;
}
