// Runs operations and mixers on another program's tensors, for the comparisons in tests/python.
// Usage: ops_probe gated-delta IN OUT        q, k, v, g, beta, state -> o, state, o_recurrent, state_recurrent
//        ops_probe gated-delta-net IN OUT    x, the weights' names, split -> y, y_split (read in two parts)
//        ops_probe ssd IN OUT                x, dt, A, b, c, D, state -> y, state, y_recurrent, state_recurrent
//        ops_probe mamba2 IN OUT             as gated-delta-net
//        ops_probe erase-write IN OUT        q, k, e, w, g, state -> o, state, o_recurrent, state_recurrent
//        ops_probe gated-delta-net2 IN OUT   as gated-delta-net
// IN and OUT: a dictionary of tensors as torch.save writes it.
#include "base/error.h"
#include "base/files.h"
#include "model/mixers/gated_delta_net/gated_delta_net.h"
#include "model/mixers/gated_delta_net2/gated_delta_net2.h"
#include "model/mixers/mamba2/mamba2.h"
#include "ops/erase_write/erase_write.h"
#include "ops/gated_delta/gated_delta.h"
#include "ops/ssd/ssd.h"

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

Named ssd(const Named& in) {
  ops::SsdInputs inputs{in.at("x"), in.at("dt"), in.at("A"), in.at("b"), in.at("c"), in.at("D"), in.at("state")};
  const auto chunked = ops::ssd(inputs);
  inputs.state_BHKV = in.at("state").clone();
  const Tensor y = ops::ssd_in_place(inputs);
  return {
      {"y", chunked.y_BTHV}, {"state", chunked.state_BHKV}, {"y_recurrent", y}, {"state_recurrent", inputs.state_BHKV}};
}

/// Of x whole, and of its first `split` tokens with the rest token by token, as writing does.
template <class Mix>
Named whole_and_in_parts(const Named& in, const Mix& mix) {
  const Tensor x = in.at("x");
  const int64_t split = in.at("split").item<int64_t>();
  RecurrentState whole, parts;
  const Tensor y = mix(x, whole);
  std::vector<Tensor> y_parts{mix(x.narrow(1, 0, split), parts)};
  for (int64_t t = split; t < x.size(1); ++t) y_parts.push_back(mix(x.narrow(1, t, 1), parts));
  return {{"y", y}, {"y_split", at::cat(y_parts, 1)}, {"state", whole[1]}, {"state_split", parts[1]}};
}

Named gated_delta_net(const Named& in) {
  const auto number = [&](const char* name) { return in.at(name).item<int64_t>(); };
  const GatedDeltaNetSizes sizes{number("key_heads"), number("value_heads"), number("key_dim"), number("value_dim"),
                                 in.at("conv").size(1)};
  const GatedDeltaNetWeights w{in.at("in"),      in.at("gates"), in.at("conv"), in.at("A_log"),
                               in.at("dt_bias"), in.at("norm"),  in.at("out")};
  return whole_and_in_parts(
      in, [&](const Tensor& x, RecurrentState& state) { return ingrain::gated_delta_net(sizes, w, 1e-6, x, state); });
}

Named mamba2(const Named& in) {
  const auto number = [&](const char* name) { return in.at(name).item<int64_t>(); };
  const Mamba2Sizes sizes{number("heads"), number("head_dim"), number("groups"), number("state_dim"),
                          in.at("conv").size(1)};
  const Mamba2Weights w{in.at("in"), in.at("conv"),    in.at("conv_bias"), in.at("A_log"),
                        in.at("D"),  in.at("dt_bias"), in.at("norm"),      in.at("out")};
  return whole_and_in_parts(
      in, [&](const Tensor& x, RecurrentState& state) { return ingrain::mamba2(sizes, w, 1e-6, x, state); });
}

Named erase_write(const Named& in) {
  ops::EraseWriteInputs inputs{.q_BTHK = in.at("q"),
                               .k_BTHK = in.at("k"),
                               .e_BTHK = in.at("e"),
                               .w_BTHV = in.at("w"),
                               .g_BTHK = in.at("g"),
                               .state_BHKV = in.at("state"),
                               .scale = 1 / std::sqrt(static_cast<double>(in.at("q").size(3)))};
  const auto chunked = ops::erase_write(inputs);
  inputs.state_BHKV = in.at("state").clone();
  const Tensor o = ops::erase_write_in_place(inputs);
  return {
      {"o", chunked.o_BTHV}, {"state", chunked.state_BHKV}, {"o_recurrent", o}, {"state_recurrent", inputs.state_BHKV}};
}

Named gated_delta_net2(const Named& in) {
  const auto number = [&](const char* name) { return in.at(name).item<int64_t>(); };
  const GatedDeltaNet2Sizes sizes{number("key_heads"), number("value_heads"), number("key_dim"), number("value_dim"),
                                  in.at("conv").size(1)};
  const GatedDeltaNet2Weights w{in.at("in"),       in.at("gates"),         in.at("low"),  in.at("decay"),
                                in.at("out_gate"), in.at("out_gate_bias"), in.at("conv"), in.at("A_log"),
                                in.at("dt_bias"),  in.at("norm"),          in.at("out")};
  return whole_and_in_parts(
      in, [&](const Tensor& x, RecurrentState& state) { return ingrain::gated_delta_net2(sizes, w, 1e-5, x, state); });
}

const std::map<std::string, Named (*)(const Named&)> kWhat{
    {"gated-delta", gated_delta}, {"gated-delta-net", gated_delta_net}, {"ssd", ssd},
    {"mamba2", mamba2},           {"erase-write", erase_write},         {"gated-delta-net2", gated_delta_net2},
};

}  // namespace
}  // namespace ingrain

int main(int argc, char** argv) try {
  using namespace ingrain;
  const at::NoGradGuard no_grad;
  const auto what = kWhat.find(argc == 4 ? argv[1] : "");
  require(what != kWhat.end(), "usage: ops_probe WHAT IN OUT; WHAT as at the head of this file");
  save(argv[3], what->second(load(argv[2])));
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
