// Shows what src/data and the safetensors reader make of files, for the comparisons in tests/python.
// Usage: data_probe safetensors-copy IN OUT            reads a file or folder, writes the same tensors and
// metadata
//        data_probe batches FILE TYPE ORDER SEED SKIP BATCH LENGTH COUNT
//                                                      COUNT batches as raw int32 on standard output
#include "base/error.h"
#include "data/loader.h"
#include "formats/safetensors_folder.h"

#include <cstdio>

namespace ingrain {
namespace {

void safetensors_copy(const std::string& from, const std::string& to) {
  const formats::SafetensorsFolder in{std::filesystem::path(from)};
  formats::SafetensorsWriter out;
  for (const auto& [name, at] : in.tensors()) out.add(name, at.entry->dtype, at.entry->shape, in.bytes(name));
  for (const auto& [key, value] : in.metadata()) out.metadata(key, value);
  out.write(to);
}

void batches(const std::vector<std::string>& args) {
  const auto corpus = data::Corpus::open(args[1], data::token_type_from_name(args[2]));
  data::LoaderOptions options;
  options.order = data::order_from_name(args[3]);
  options.seed = std::stoull(args[4]), options.skip = std::stoull(args[5]);
  options.batch = std::stoll(args[6]), options.length = std::stoll(args[7]);
  data::Loader loader(corpus, options);
  for (uint64_t left = std::stoull(args[8]); left > 0; --left) {
    const data::Batch batch = loader.next();
    const size_t written = std::fwrite(batch.tokens.data(), sizeof(int32_t), batch.tokens.size(), stdout);
    require(written == batch.tokens.size(), "standard output: cannot write");
  }
}

int run(const std::vector<std::string>& args) {
  if (args.size() == 3 && args[0] == "safetensors-copy") return safetensors_copy(args[1], args[2]), 0;
  if (args.size() == 9 && args[0] == "batches") return batches(args), 0;
  fail_usage("data_probe: see the head of tests/tools/data_probe.cpp for its commands");
}

}  // namespace
}  // namespace ingrain

int main(int argc, char** argv) {
  try {
    return ingrain::run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return dynamic_cast<const ingrain::UsageError*>(&e) ? 2 : 1;
  }
}
