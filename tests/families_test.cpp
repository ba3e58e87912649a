// Families of models against what PyPI's transformers made of tiny ones (fixtures/families, made by make_families.py):
// every token's loss, from a Hugging Face folder and from a GGUF file with the same weights, however it is read.
#include "session/session.h"
#include "store/import_decoder.h"
#include "store/model_files.h"
#include "store/pretrained.h"
#include "scratch.h"
#include "tiny_model.h"
#include "base/json.h"
#include "ttt/read.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace ingrain {
namespace {

namespace fs = std::filesystem;
using test::max_difference;

const fs::path kFamilies = fs::path(INGRAIN_SOURCE_FOLDER) / "tests" / "fixtures" / "families";

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(kFamilies)) out.push_back(entry.path().filename().string());
  std::ranges::sort(out);
  return out;
}

struct Expected {
  Tensor tokens_1n, nll_m;

  explicit Expected(const std::string& family) {
    const nlohmann::json json = read_json(kFamilies / family / "expected.json", 1 << 20);
    const auto tokens = json["tokens"].get<std::vector<int64_t>>();
    tokens_1n = at::tensor(tokens, at::kLong).unsqueeze(0);
    nll_m = at::tensor(json["nll"].get<std::vector<double>>(), at::kDouble);
  }
};

/// -log p of every token but the first, read `at_once` together.
Tensor losses(const Network& model, const Tensor& tokens_1n, int64_t at_once) {
  ttt::Memory memory = ttt::empty_memory(model);
  std::vector<Tensor> out;
  for (int64_t first = 0; first < tokens_1n.size(1); first += at_once) {
    const int64_t count = std::min(at_once, tokens_1n.size(1) - first);
    out.push_back(ttt::read(model, memory, tokens_1n.narrow(1, first, count)).nll_Bn);
  }
  return at::cat(out, 1)[0].narrow(0, 1, tokens_1n.size(1) - 1).to(at::kDouble);
}

class EveryFamily : public ::testing::TestWithParam<std::string> {};

TEST_P(EveryFamily, gives_each_token_the_loss_that_transformers_gives_it) {
  const Expected expected(GetParam());
  const fs::path folder = kFamilies / GetParam();
  std::vector<fs::path> files{folder};
  if (fs::exists(folder / "gguf")) files.push_back(folder / "gguf" / "weights.gguf");
  for (const fs::path& file : files) {
    const Network model = load_model(file, at::kFloat);
    for (const int64_t at_once : {100, 7, 1})
      EXPECT_LT(max_difference(losses(model, expected.tokens_1n, at_once), expected.nll_m), 1e-4)
          << file << ", " << at_once << " at once";
  }
}

TEST_P(EveryFamily, writes_from_a_captured_graph_what_it_reads) {
  const Expected expected(GetParam());
  const Network model = load_model(kFamilies / GetParam(), at::kFloat);
  ttt::Memory memory = ttt::empty_memory(model), same = ttt::empty_memory(model);
  ttt::read(model, memory, expected.tokens_1n.narrow(1, 0, 20));
  ttt::read(model, same, expected.tokens_1n.narrow(1, 0, 20));
  session::Session session(model, std::move(memory));
  for (int64_t t = 20; t < 60; ++t) {
    session.write(expected.tokens_1n.narrow(1, t, 1));
    ttt::read(model, same, expected.tokens_1n.narrow(1, t, 1));
    EXPECT_LT(max_difference(session.logits_BV(), ttt::next_logits(model, same)), 1e-4) << "token " << t;
  }
  ASSERT_NE(session.graph(), nullptr);
  EXPECT_TRUE(session.graph()->captured()) << session.graph()->refusal();
}

class FamilyImport : public ScratchTest, public ::testing::WithParamInterface<std::string> {};

TEST_P(FamilyImport, keeps_every_number_in_the_sources_type) {
  const Expected expected(GetParam());
  const auto source = open_decoder(kFamilies / GetParam());
  save_model(dir_ / "ours", source->config(), load_model(kFamilies / GetParam(), at::kFloat).weights, source->type(),
             source->changes_norms() ? std::optional(at::kFloat) : std::nullopt);
  EXPECT_EQ(source->type(), at::kBFloat16);
  EXPECT_LT(max_difference(losses(load_model(dir_ / "ours", at::kFloat), expected.tokens_1n, 100), expected.nll_m),
            1e-4);
}

const auto kName = [](const auto& info) { return info.param; };
INSTANTIATE_TEST_SUITE_P(Families, EveryFamily, ::testing::ValuesIn(names()), kName);
INSTANTIATE_TEST_SUITE_P(Families, FamilyImport, ::testing::ValuesIn(names()), kName);

}  // namespace
}  // namespace ingrain
