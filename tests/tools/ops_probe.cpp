// Runs operations and mixers on another program's tensors, for the comparisons in tests/python.
// Usage: ops_probe gated-delta IN OUT        q, k, v, g, beta, state -> o, state, o_recurrent, state_recurrent
//        ops_probe gated-delta-net IN OUT    x, the weights' names, split -> y, y_split (read in two parts)
// IN and OUT: a dictionary of tensors as torch.save writes it.
#include "base/error.h"
#include "base/files.h"
#include "model/mixers/gated_delta_net/gated_delta_net.h"
#include "ops/gated_delta/gated_delta.h"

#include <torch/csrc/jit/serialization/pickle.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

namespace ingrain {
namespace {

using Named = std::map<std::string, Tensor>;

Named load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  require(file.good(), "{}: cannot read", path);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  Named out;
  for (const auto& entry : torch::jit::pickle_load(bytes).toGenericDict())
    out.emplace(entry.key().toStringRef(), entry.value().toTensor());
  return out;
}

void save(const std::string& path, const Named& tensors) {
  c10::Dict<std::string, Tensor> dict;
  for (const auto& [name, x] : tensors) dict.insert(name, x.contiguous());
  const std::vector<char> bytes = torch::jit::pickle_save(dict);
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  require(file.good(), "{}: cannot write", path);
}

Named gated_delta(const Named& in) {
  const double scale = 1 / std::sqrt(static_cast<double>(in.at("q").size(3)));
  const auto chunked =
      ops::gated_delta(in.at("q"), in.at("k"), in.at("v"), in.at("g"), in.at("beta"), in.at("state"), scale);
  const Tensor state = in.at("state").clone();
  const Tensor o =
      ops::gated_delta_in_place(in.at("q"), in.at("k"), in.at("v"), in.at("g"), in.at("beta"), state, scale);
  return {{"o", chunked.o_BTHV}, {"state", chunked.state_BHKV}, {"o_recurrent", o}, {"state_recurrent", state}};
}

Named gated_delta_net(const Named& in) {
  const auto number = [&](const char* name) { return in.at(name).item<int64_t>(); };
  const GatedDeltaNetSizes sizes{number("key_heads"), number("value_heads"), number("key_dim"), number("value_dim"),
                                 in.at("conv").size(1)};
  const GatedDeltaNetWeights w{in.at("in"),      in.at("gates"), in.at("conv"), in.at("A_log"),
                               in.at("dt_bias"), in.at("norm"),  in.at("out")};
  const Tensor x = in.at("x");
  const int64_t split = number("split");
  std::vector<Tensor> whole, parts;
  const Tensor y = ingrain::gated_delta_net(sizes, w, 1e-6, x, whole);
  std::vector<Tensor> y_parts{ingrain::gated_delta_net(sizes, w, 1e-6, x.narrow(1, 0, split), parts)};
  for (int64_t t = split; t < x.size(1); ++t)  // token by token, as writing does
    y_parts.push_back(ingrain::gated_delta_net(sizes, w, 1e-6, x.narrow(1, t, 1), parts));
  return {{"y", y}, {"y_split", at::cat(y_parts, 1)}, {"state", whole[1]}, {"state_split", parts[1]}};
}

}  // namespace
}  // namespace ingrain

int main(int argc, char** argv) try {
  using namespace ingrain;
  const at::NoGradGuard no_grad;
  const std::string what = argc == 4 ? argv[1] : "";
  require(what == "gated-delta" || what == "gated-delta-net", "usage: ops_probe gated-delta|gated-delta-net IN OUT");
  const Named in = load(argv[2]);
  save(argv[3], what == "gated-delta" ? gated_delta(in) : gated_delta_net(in));
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
