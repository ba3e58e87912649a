// What is not a number is counted, said and stopped at; it never passes for a good score and never gets into a file.
#include "api/score.h"
#include "base/mean_text.h"
#include "scratch.h"
#include "session/session.h"
#include "store/model_files.h"
#include "tiny_model.h"
#include "train/validation.h"
#include "ttt/memory_file.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

namespace ingrain {
namespace {

using test::random_tokens;
using test::tiny_model;
using ::testing::HasSubstr;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();

class NotFinite : public ScratchTest {};

/// A model that gives no numbers after token 36, and texts without it.
Network broken_after_36() {
  Network model = tiny_model({}, at::kFloat);
  model.weights.embedding_VD = model.weights.embedding_VD.clone();
  model.weights.embedding_VD[36].fill_(kNaN);
  return model;
}

Tensor tokens_with_36_at(const Network& model, int64_t place) {
  Tensor tokens = random_tokens(model.config, 1, 60).clamp_max_(35);
  tokens[0][place] = 36;
  return tokens;
}

TEST_F(NotFinite, reading_stops_at_such_a_loss_and_names_its_position_in_any_split) {
  Network model = broken_after_36();
  model.config.tie_embeddings = false;  // only what is read is broken, not what is predicted
  model.weights.head_VD = tiny_model({}, at::kFloat).weights.embedding_VD.clone();
  for (const size_t place : {0, 20, 31, 58}) {
    const Tensor drawn = tokens_with_36_at(model, static_cast<int64_t>(place)).to(at::kInt);
    const std::span<const int32_t> tokens(drawn.const_data_ptr<int32_t>(), 60);
    for (const size_t piece : {60, 8, 7, 1}) {
      ttt::Memory memory = ttt::empty_memory(model);
      const std::string said = error_of([&] {
        for (size_t first = 0; first < 60; first += piece)
          ttt::read(model, memory, ttt::as_batch(tokens.subspan(first, std::min(piece, 60 - first))));
      });
      ASSERT_THAT(said, HasSubstr(": the loss is not finite")) << "pieces of " << piece;
      const size_t at = std::stoul(said.substr(said.find("position ") + 9));
      EXPECT_LE(at, place + 1) << "pieces of " << piece;
      EXPECT_GT(at + 64, place + 1) << "pieces of " << piece;
      // A few tokens at a time are no tile, so that the position is the token's.
      if (piece < 60) {
        EXPECT_EQ(at, place + 1) << "pieces of " << piece;
      }
    }
  }
}

TEST_F(NotFinite, a_session_stops_too_however_its_tokens_come) {
  Network model = broken_after_36();
  model.config.tie_embeddings = false;
  model.weights.head_VD = tiny_model({}, at::kFloat).weights.embedding_VD.clone();
  const Tensor tokens = tokens_with_36_at(model, 20);
  for (const bool written : {false, true}) {
    session::Session session(model, ttt::empty_memory(model));
    session.read(tokens.narrow(1, 0, 18));
    int64_t at = 18;
    const std::string said = error_of([&] {
      for (; at < 60; ++at) {
        const Tensor token = tokens.narrow(1, at, 1);
        if (written)
          session.write(token);
        else
          session.read(token);
      }
    });
    // One token's score is known when it is read; what is only written shows in the step at its chunk's end.
    EXPECT_THAT(said, HasSubstr(written ? "position 16: the loss or its gradient" : "position 21: the loss"));
    EXPECT_EQ(at, written ? 24 : 21);
  }
}

TEST_F(NotFinite, a_long_text_is_not_read_to_its_end_after_such_a_step) {
  const Network model = broken_after_36();
  const Tensor tokens_Bn = tokens_with_36_at(model, 20).narrow(1, 0, 60);
  ttt::Memory memory = ttt::empty_memory(model);
  ttt::ReadOptions options;
  options.prefill = 16;
  EXPECT_THAT(error_of([&] { ttt::read(model, memory, tokens_Bn, options); }),
              HasSubstr("is not finite, so reading has stopped"));
  EXPECT_LT(memory.position, 60);
}

TEST_F(NotFinite, no_file_is_written_that_its_loader_would_refuse) {
  const Network model = tiny_model({}, at::kFloat);
  for (const MemoryForm form : {MemoryForm::working, MemoryForm::compact}) {
    ttt::Memory memory = ttt::empty_memory(model);
    ttt::read(model, memory, random_tokens(model.config, 1, 20));
    memory.W_S[0].w2_DF[0][0][0] = kInfinity;
    EXPECT_THAT(error_of([&] { ttt::save_memory(dir_ / "x.memory", model, memory, form); }),
                HasSubstr("'fast.0.w2' holds a NaN or an infinity"));
  }
  EXPECT_FALSE(std::filesystem::exists(dir_ / "x.memory"));
}

TEST_F(NotFinite, no_model_is_written_that_loading_would_refuse) {
  Network model = tiny_model({}, at::kFloat);
  const auto refusal = [&](const std::string& folder, at::ScalarType store) {
    return error_of([&] { save_model(dir_ / folder, model.config, model.weights, store); });
  };
  EXPECT_EQ(refusal("whole", at::kFloat), "");
  model.weights.final_norm_D = model.weights.final_norm_D.clone();
  model.weights.final_norm_D[3] = 1e30F;
  EXPECT_EQ(refusal("wide", at::kBFloat16), "");
  EXPECT_THAT(refusal("narrow", at::kHalf), HasSubstr("holds a NaN or an infinity")) << "rounded it is infinite";
  model.weights.final_norm_D[3] = kNaN;
  EXPECT_THAT(refusal("spoilt", at::kFloat), HasSubstr("holds a NaN or an infinity"));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "spoilt" / "model.safetensors"));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "narrow" / "model.safetensors"));
}

TEST_F(NotFinite, losses_are_counted_and_left_out_of_means_and_a_mean_of_nothing_is_none) {
  const std::vector<int32_t> tokens{1, 5, 6, 1, 7, 8};
  const Score score = summarize({kNaN, 2, kNaN, 3, kInfinity, 4}, tokens, 1, /*bos_id=*/1, nullptr);
  EXPECT_EQ(score.scored, 4) << "not the first, not the bos";
  EXPECT_EQ(score.not_finite, 2);
  EXPECT_EQ(score.mean_nll, 3);
  const auto bins = equal_bins(score.nll, 2);
  ASSERT_EQ(bins.size(), 3u);
  EXPECT_EQ(bins[0].mean_nll, 2);
  EXPECT_EQ(bins[1].scored, 1);
  EXPECT_EQ(bins[1].not_finite, 1);
  EXPECT_TRUE(std::isnan(bins[1].mean_nll)) << "no finite loss there: no mean, and not 0";
  EXPECT_EQ(bins[2].not_finite, 1);
  EXPECT_TRUE(std::isnan(summarize({kNaN}, std::vector<int32_t>{1}, 1, 1, nullptr).mean_nll));
  EXPECT_EQ(mean_text(kNaN), "-");
  EXPECT_EQ(mean_text(1.5, 2), "1.50");
}

TEST_F(NotFinite, validation_goes_on_and_says_how_many) {
  std::string bytes;
  for (int i = 0; i < 200; ++i) bytes += {static_cast<char>(i % 11 == 10 ? 36 : 2 + i % 11), '\0'};
  train::RunConfig run;
  run.model.config = tiny_model({}).config;
  run.validation = {.paths = {put(dir_ / "v.bin", bytes)}, .every = 0, .sequences = 2, .length = 32};
  const auto whole = train::validate_files(tiny_model({}, at::kFloat), run, {});
  EXPECT_EQ((*whole)[0].not_finite_on + (*whole)[0].not_finite_off, 0);
  const auto reports = train::validate_files(broken_after_36(), run, {});
  EXPECT_EQ((*reports)[0].not_finite_on, 64) << "the head is the embedding: no loss is a number";
  EXPECT_EQ((*reports)[0].not_finite_off, 64);
  EXPECT_TRUE(std::isnan((*reports)[0].loss_on) && std::isnan((*reports)[0].loss_on_P[0]));
}

}  // namespace
}  // namespace ingrain
