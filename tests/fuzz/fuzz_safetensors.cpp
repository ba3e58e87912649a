// Any bytes are either refused with an Error or are a file whose tensors lie inside it.
#include "base/error.h"
#include "formats/safetensors_header.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingrain;
  if (size < 1) return 0;
  // The first byte is the size of the data section: the header is what there is to get wrong.
  const uint64_t data_size = data[0];
  const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  try {
    const auto header = formats::parse_safetensors_header(text, data_size, "fuzz.safetensors");
    uint64_t total = 0;
    for (const auto& [name, entry] : header.tensors) {
      const auto bytes = formats::shape_bytes(entry.shape, formats::dtype_bits(entry.dtype));
      if (entry.begin > entry.end || entry.end > data_size || bytes != entry.end - entry.begin) std::abort();
      total += *bytes;
    }
    if (total != data_size) std::abort();
  } catch (const Error&) {}
  return 0;
}
