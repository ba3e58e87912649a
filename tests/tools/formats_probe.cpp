// Shows what the parsers in src/formats make of a file, for the comparisons in tests/python.
// Usage: formats_probe gguf-tensor FILE NAME     the tensor's elements as raw fp32 on standard output
#include "base/error.h"
#include "formats/gguf.h"
#include "formats/gguf_quants.h"

#include <cstdio>

namespace ingrain::formats {
namespace {

void write_out(const void* data, size_t size) {
  require(std::fwrite(data, 1, size, stdout) == size, "standard output: cannot write");
}

void gguf_tensor(const std::string& path, const std::string& name) {
  const Gguf file{std::filesystem::path(path)};
  const GgufTensor& tensor = file.tensor(name);
  std::vector<float> values(tensor.elements());
  dequantize_rows(tensor, 0, tensor.rows(), values);
  write_out(values.data(), values.size() * sizeof(float));
}

void run(const std::vector<std::string>& args) {
  if (args.size() == 3 && args[0] == "gguf-tensor") return gguf_tensor(args[1], args[2]);
  fail_usage("formats_probe: see the head of tests/tools/formats_probe.cpp for its commands");
}

}  // namespace
}  // namespace ingrain::formats

int main(int argc, char** argv) {
  try {
    ingrain::formats::run(std::vector<std::string>(argv + 1, argv + argc));
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
