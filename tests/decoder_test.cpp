// Writing from a session's own buffers (session/session.h) gives what ttt::read gives, token by token: in fp64 by the
// reference formulas, otherwise by kernels that are replayed.
#include "base/error.h"
#include "model/quantized.h"
#include "ops/quantized/quantized.h"
#include "same_memory.h"
#include "threads.h"
#include "session/session.h"

#include <ATen/record_function.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

namespace ingrain::ttt {
namespace {

using session::Checkpoints;
using session::Session;
using test::expect_same_memory;
using test::kSame;
using test::max_difference;
using test::random_tokens;
using test::tiny_model;
using test::TinyShape;

struct Case {
  TinyShape shape;
  int64_t before;  // tokens read before the decoder starts
};

class Decoding : public ::testing::TestWithParam<Case> {};

TEST_P(Decoding, from_own_buffers_is_reading_token_by_token) {
  const auto& [shape, before] = GetParam();
  const Network model = tiny_model(shape);
  const Tensor tokens = random_tokens(model.config, 2, 60);
  ReadOptions options;
  options.score = false;
  Memory expected = empty_memory(model, 2), memory = empty_memory(model, 2);
  read(model, expected, tokens.narrow(1, 0, before), options);
  read(model, memory, tokens.narrow(1, 0, before), options);
  Session decoder(model, std::move(memory));
  EXPECT_LT(max_difference(decoder.logits_BV(), next_logits(model, expected)), kSame);
  for (int64_t i = before; i < 60; ++i) {
    const Tensor token = tokens.narrow(1, i, 1);
    read(model, expected, token, options);
    decoder.write(token, options);
    EXPECT_LT(max_difference(decoder.logits_BV(), next_logits(model, expected)), kSame) << "token " << i;
    if (i % 7 == 0) expect_same_memory(model, expected, decoder.memory());  // within chunks and at their ends
  }
  expect_same_memory(model, expected, decoder.memory());
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Decoding,
    ::testing::Values(Case{{}, 1}, Case{{}, 5}, Case{{}, 8}, Case{{}, 29}, Case{{.window = 5}, 3},
                      Case{{.window = 1}, 9}, Case{{.window = 40, .chunk = 6}, 2}, Case{{.window = 1000}, 4},
                      Case{{.kv_heads = 1}, 11}, Case{{.suffix = 1}, 16}, Case{{.layers = 2, .suffix = 2}, 6},
                      Case{{.layers = 2, .suffix = 0}, 7},
                      Case{{.tie = false, .post_norm = false, .learned_rates = true}, 10},
                      Case{{.layers = 4, .suffix = 3, .unrotated = 2}, 6},
                      Case{{.layers = 4, .suffix = 3, .window = 5, .full = 2}, 1},
                      Case{{.layers = 4, .suffix = 3, .window = 5, .sink = true}, 1},
                      Case{{.layers = 4, .suffix = 3, .like = test::Like::gemma3}, 3},
                      Case{{.layers = 4, .suffix = 3, .like = test::Like::olmo3}, 3},
                      Case{{.layers = 4, .suffix = 3, .like = test::Like::granite_swa}, 3},
                      Case{{.layers = 4, .suffix = 3, .like = test::Like::phi4_mini}, 3},
                      Case{{.layers = 4, .suffix = 3, .like = test::Like::ministral3}, 3},
                      Case{{.layers = 4, .suffix = 3, .mixers = {{"gated_delta_net", 2}}}, 6},
                      Case{{.mixers = {{"gated_delta_net", 1}}}, 1},
                      Case{{.layers = 4, .suffix = 3, .output_gate = true, .without_mlp = 2}, 6},
                      Case{{.layers = 4, .suffix = 3, .mixers = {{"gated_delta_net", 3}, {"mamba2", 2}}}, 6}));

std::vector<Case> cases_of_recurrent_mixers() {
  std::vector<Case> out;
  for (const TinyShape& shape : test::shapes_of_recurrent_mixers()) out.push_back({shape, 9});
  return out;
}
INSTANTIATE_TEST_SUITE_P(RecurrentMixers, Decoding, ::testing::ValuesIn(cases_of_recurrent_mixers()));

/// Operations of libtorch while it lives, those within others included.
class CountOperations {
 public:
  CountOperations()
      : handle_(at::addThreadLocalCallback(at::RecordFunctionCallback(count).scopes({at::RecordScope::FUNCTION}))) {
    operations_ = 0;
  }
  ~CountOperations() { at::removeCallback(handle_); }
  int operations() const { return operations_; }

 private:
  static std::unique_ptr<at::ObserverContext> count(const at::RecordFunction&) {
    ++operations_;
    return nullptr;
  }
  static thread_local int operations_;
  const at::CallbackHandle handle_;
};
thread_local int CountOperations::operations_ = 0;

struct Variant {
  const char* name;
  at::ScalarType type;
  const ops::QuantizedFormat* format;
  TinyShape shape;
  bool biases, head_norms, interleaved;
  double tolerance;
};

Network variant_model(const Variant& variant) {
  ModelConfig c = test::tiny_config(variant.shape);
  c.vocab_size = 48;
  c.hidden_size = c.mlp_size = 64;
  c.num_heads = 4;
  c.head_dim = 16;
  c.change_layers([&](LayerSpec& layer) {
    layer.qkv_bias = variant.biases;
    layer.qk_norm = variant.head_norms;
  });
  c.rope_interleaved = variant.interleaved;
  c.init_std = 0.1;
  Weights w = initial_weights(c, 5);
  at::manual_seed(7);
  visit_parameters(c, w, [](const std::string&, Tensor& x, ParameterKind kind) {
    if (kind == ParameterKind::norm || x.dim() == 1) x.add_(at::randn_like(x), 0.2);
  });
  Network model{c, convert(c, w, variant.type), "tiny"};
  if (variant.format) quantize_slow_weights(model, *variant.format);
  return model;
}

class Replayed : public ::testing::TestWithParam<Variant> {};

/// In every type and family the kernels are recorded once and replayed from then on: a token costs a handful of
/// libtorch's operations.
TEST_P(Replayed, tokens_give_the_numbers_of_reading_without_asking_libtorch) {
  const Network model = variant_model(GetParam());
  for (const auto& [batch, threads] : {std::pair<int64_t, int>(1, 1), {2, 1}, {1, 3}}) {
    const test::Threads guard(threads);
    const Tensor tokens = random_tokens(model.config, batch, 70);
    ReadOptions options;
    options.score = false;
    options.ahead = 0;
    Memory expected = empty_memory(model, batch), memory = empty_memory(model, batch);
    for (Memory* m : {&expected, &memory}) read(model, *m, tokens.narrow(1, 0, 30), options);
    Session decoder(model, std::move(memory));
    std::vector<int> operations;
    for (int64_t i = 30; i < 70; ++i) {
      const Tensor token = tokens.narrow(1, i, 1);
      read(model, expected, token, options);
      {
        const CountOperations count;
        decoder.write(token, options);
        operations.push_back(count.operations());
      }
      const Tensor want = next_logits(model, expected);
      EXPECT_LT(max_difference(decoder.logits_BV().to(at::kFloat), want),
                GetParam().tolerance * want.abs().max().item<double>())
          << "batch " << batch << " token " << i;
    }
    const auto middle = operations.begin() + static_cast<int64_t>(operations.size() / 2);
    std::nth_element(operations.begin(), middle, operations.end());
    EXPECT_LT(*middle, 60) << "batch " << batch;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Decoder, Replayed,
    ::testing::Values(
        Variant{"fp32", at::kFloat, nullptr, {}, false, true, true, 1e-4},
        Variant{"bf16", at::kBFloat16, nullptr, {}, false, true, true, 5e-2},
        Variant{"fp32_llama", at::kFloat, nullptr, {.tie = false, .post_norm = false}, false, false, false, 1e-4},
        Variant{"fp32_qwen2",
                at::kFloat,
                nullptr,
                {.kv_heads = 1, .post_norm = false, .learned_rates = true},
                true,
                false,
                false,
                1e-4},
        Variant{"bf16_qwen2", at::kBFloat16, nullptr, {.kv_heads = 1, .post_norm = false}, true, false, false, 5e-2},
        Variant{"fp32_smollm3",
                at::kFloat,
                nullptr,
                {.layers = 4, .post_norm = false, .unrotated = 2},
                false,
                false,
                true,
                1e-4},
        Variant{"no_suffix", at::kFloat, nullptr, {.suffix = 0}, false, true, true, 1e-4},
        Variant{"q8_0", at::kFloat, &ops::q8_0, {}, false, true, true, 2e-3},
        Variant{"q4_1", at::kBFloat16, &ops::q4_1, {.tie = false}, true, true, true, 5e-2}),
    [](const auto& i) { return std::string(i.param.name); });

/// A decoder that starts anew, as after saving and loading, goes on to the last bit: in another ring, with other work
/// ahead.
TEST(Decoder, starting_anew_changes_no_bit) {
  const test::Threads threads(3);
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const Network model = variant_model({"", type, nullptr, {.window = 40, .chunk = 16}, false, true, true, 0});
    const Tensor tokens = random_tokens(model.config, 1, 90);
    Memory whole = empty_memory(model), parts = empty_memory(model);
    for (Memory* m : {&whole, &parts}) read(model, *m, tokens.narrow(1, 0, 3));
    Session in_one(model, std::move(whole));
    for (int64_t first = 3; first < 90;) {
      Session in_parts(model, std::move(parts));
      const int64_t last = std::min<int64_t>(first + 13, 90);
      for (; first < last; ++first) {
        in_one.write(tokens.narrow(1, first, 1));
        in_parts.write(tokens.narrow(1, first, 1));
        ASSERT_TRUE(in_one.logits_BV().equal(in_parts.logits_BV())) << "token " << first;
      }
      parts = in_parts.snapshot();
    }
  }
}

TEST(Decoder, has_read_the_token_whose_step_makes_the_caller_throw) {
  const Network model = tiny_model({});
  const Tensor tokens = random_tokens(model.config, 1, 40);
  ReadOptions options;
  options.on_step = [](const StepReport& step, const Memory&, const std::vector<Mlp>&) {
    if (step.step == 2) throw std::runtime_error("enough");
  };
  Memory expected = empty_memory(model), memory = empty_memory(model);
  for (Memory* m : {&expected, &memory}) read(model, *m, tokens.narrow(1, 0, 3));
  Session decoder(model, std::move(memory));
  int64_t thrown = 0;
  for (int64_t i = 3; i < 40; ++i) {
    try {
      decoder.write(tokens.narrow(1, i, 1), options);
    } catch (const std::runtime_error&) {
      ++thrown;
    }
  }
  EXPECT_EQ(thrown, 1);
  read(model, expected, tokens.narrow(1, 3, 37));
  test::expect_same_memory(model, decoder.memory(), expected, 1e-10);
}

TEST(Decoder, learning_off_reports_no_step_and_changes_no_weight) {
  const Network model = tiny_model({});
  const Tensor tokens = random_tokens(model.config, 1, 30);
  for (const bool learn : {false, true}) {
    int64_t reported = 0;
    ReadOptions options;
    options.learn = learn;
    options.on_step = [&](const StepReport& step, const Memory& memory, const std::vector<Mlp>&) {
      EXPECT_EQ(step.step, reported++);
      EXPECT_EQ(memory.position, reported * model.config.chunk);
    };
    Memory expected = empty_memory(model), memory = empty_memory(model);
    for (Memory* m : {&expected, &memory}) read(model, *m, tokens.narrow(1, 0, 3), options);
    Session decoder(model, std::move(memory));
    for (int64_t i = 3; i < 30; ++i) decoder.write(tokens.narrow(1, i, 1), options);
    EXPECT_EQ(reported, learn ? 3 : 0);
    reported = 0;
    read(model, expected, tokens.narrow(1, 3, 27), options);
    EXPECT_EQ(reported, learn ? 3 : 0) << "at once";
    expect_same_memory(model, expected, decoder.memory());
  }
}

TEST(Decoder, refuses_tokens_outside_the_vocabulary) {
  const Network model = tiny_model({});
  Memory memory = empty_memory(model);
  read(model, memory, random_tokens(model.config, 1, 3));
  Session decoder(model, std::move(memory));
  for (const int32_t token : {-1, 37}) EXPECT_THROW(decoder.write(as_batch({&token, 1})), Error);
}

TEST(Decoder, keeps_the_checkpoints_that_reading_keeps) {
  const Network model = tiny_model({});
  const Tensor tokens = random_tokens(model.config, 1, 30);
  ReadOptions options;
  Memory expected = empty_memory(model);
  Checkpoints read_kept(1 << 20);
  InnerLoop loop(model, expected);
  session::read(loop, read_kept, tokens, options);
  Session decoder(model, empty_memory(model), Checkpoints(1 << 20));
  decoder.read(tokens.narrow(1, 0, 3), options);
  for (int64_t i = 3; i < 30; ++i) decoder.write(tokens.narrow(1, i, 1), options);
  const Checkpoints& written_kept = decoder.checkpoints();
  ASSERT_EQ(written_kept.positions(), read_kept.positions());
  ASSERT_FALSE(read_kept.positions().empty());
  for (const int64_t at : read_kept.positions()) expect_same_memory(model, *read_kept.find(at), *written_kept.find(at));
}

TEST(Decoder, tokens_that_do_not_count_leave_their_targets_out) {
  const Network model = tiny_model({});
  const Tensor tokens = random_tokens(model.config, 1, 30);
  ReadOptions given, written;
  written.learn_these = false;
  Memory expected = empty_memory(model), memory = empty_memory(model);
  for (Memory* m : {&expected, &memory}) read(model, *m, tokens.narrow(1, 0, 5), given);
  Session decoder(model, std::move(memory));
  for (int64_t i = 5; i < 12; ++i) {
    decoder.write(tokens.narrow(1, i, 1), written);
    read(model, expected, tokens.narrow(1, i, 1), written);
  }
  decoder.read(tokens.narrow(1, 12, 18), given);
  read(model, expected, tokens.narrow(1, 12, 18), given);
  expect_same_memory(model, expected, decoder.memory());
}

}  // namespace
}  // namespace ingrain::ttt
