// The public interface, seen from outside: what is promised in include/ingrain.
#include "ingrain/ingrain.h"

#include "api/parts.h"
#include "base/files.h"
#include "scratch.h"
#include "store/model_files.h"
#include "tiny_model.h"

#include <gmock/gmock.h>

#include <cmath>
#include <thread>

namespace ingrain {
namespace {

constexpr int64_t kChunk = 16;

class Api : public ScratchTest {
 protected:
  void SetUp() override {
    ScratchTest::SetUp();
    ModelConfig c = test::tiny_config({.window = 12, .chunk = kChunk});
    c.vocab_size = 257;  // bytes and a beginning of text
    c.bos_id = 0;
    c.eos_ids = {0};
    save_model(dir_, c, initial_weights(c, 5), at::kFloat);
    std::filesystem::copy_file(std::filesystem::path(INGRAIN_EXAMPLES) / "tiny-book/tokenizer.json",
                               dir_ / "tokenizer.json");
  }
  Model model() const { return Model::load(dir_, {.dtype = "fp32"}); }

  static std::string text(size_t length, unsigned seed = 1) {
    std::mt19937 random(seed);
    std::string out;
    while (out.size() < length) out += random() % 6 == 0 ? ' ' : static_cast<char>('a' + random() % 26);
    return out;
  }
  /// What tells memories apart: the scores of a text that each of them reads next.
  static std::vector<float> scores(Memory memory, const std::string& next = text(40, 99)) {
    return Reader(memory).read(next).nll;
  }
  static void expect_near(const std::vector<float>& a, const std::vector<float>& b, double tolerance) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], tolerance) << i;
  }
};

TEST_F(Api, a_text_fed_in_parts_is_the_text) {
  const Model m = model();
  const std::string book = text(150);
  Memory whole(m), parts(m);
  const Reading all = Reader(whole).read(book);
  EXPECT_EQ(all.tokens, 151);  // beginning of text, then one token a byte
  EXPECT_TRUE(std::isnan(all.nll[0]));
  Reader reader(parts);
  std::vector<float> nll;
  for (size_t i = 0; i < book.size(); i += 7) {
    const Reading part = reader.feed(std::string_view(book).substr(i, 7));
    nll.insert(nll.end(), part.nll.begin(), part.nll.end());
  }
  const Reading rest = reader.finish();
  nll.insert(nll.end(), rest.nll.begin(), rest.nll.end());
  EXPECT_EQ(parts.position(), whole.position());
  EXPECT_EQ(parts.steps(), whole.steps());
  expect_near({nll.begin() + 1, nll.end()}, {all.nll.begin() + 1, all.nll.end()}, 2e-5);
  expect_near(scores(parts), scores(whole), 2e-5);
}

TEST_F(Api, a_copy_is_a_fork) {
  Memory origin(model());
  Reader(origin).read(text(70));
  const std::vector<float> before = scores(origin);
  Memory fork = origin;
  Reader(fork).read(text(200, 2));
  EXPECT_EQ(scores(origin), before);
  EXPECT_NE(scores(fork), before);
  origin = fork;
  EXPECT_EQ(scores(origin), scores(fork));
}

TEST_F(Api, saving_and_loading_changes_nothing) {
  const Model m = model();
  Memory memory(m);
  Reader(memory).read(text(70));
  memory.save(dir_ / "a.memory");
  const Memory loaded = Memory::load(dir_ / "a.memory", m);
  EXPECT_EQ(loaded.position(), memory.position());
  EXPECT_EQ(scores(loaded), scores(memory));
}

TEST_F(Api, what_was_learnt_is_the_distance_from_a_memory_that_has_read_nothing) {
  const Model m = model();
  ASSERT_TRUE(m.learns());
  Memory one(m), other(m);
  for (const BlockChange& block : one.learnt()) EXPECT_EQ(block.norm, 0);
  Reader(one).read(text(100));
  Reader(other).read(text(60, 2));
  const std::vector<BlockChange> learnt = one.learnt(), from_nothing = one.distance(Memory(m)),
                                 apart = one.distance(other), back = other.distance(one);
  const ModelConfig& c = m.parts().network.config;
  ASSERT_EQ(std::ssize(learnt), c.suffix_len);
  double largest = 0;
  for (size_t s = 0; s < learnt.size(); ++s) {
    EXPECT_EQ(learnt[s].block, c.prefix_len() + static_cast<int64_t>(s));
    double squares = 0;
    const Mlp &start = m.parts().network.weights.fast_S[s], &now = one.state().session.memory().W_S[s];
    for (const auto matrix : {&Mlp::w13_FD, &Mlp::w2_DF})
      squares += std::pow((now.*matrix - start.*matrix).norm().item<double>(), 2);
    EXPECT_NEAR(learnt[s].norm, std::sqrt(squares), 1e-5 * std::sqrt(squares));
    EXPECT_EQ(learnt[s].norm, from_nothing[s].norm);
    EXPECT_EQ(apart[s].norm, back[s].norm);
    EXPECT_LE(apart[s].norm, learnt[s].norm + other.learnt()[s].norm) << "the triangle's inequality";
    EXPECT_EQ(one.distance(one)[s].norm, 0);
    largest = std::max({largest, std::min(learnt[s].norm, apart[s].norm)});
  }
  EXPECT_GT(largest, 0);
}

TEST_F(Api, distances_between_memories_of_two_models_are_refused) {
  const Memory one(model());
  const ModelConfig c = one.model().parts().network.config;
  save_model(dir_, c, initial_weights(c, 6), at::kFloat);
  const Memory other(model());
  EXPECT_THAT(error_of([&] { one.distance(other); }),
              ::testing::AllOf(::testing::HasSubstr(one.model().fingerprint()),
                               ::testing::HasSubstr(other.model().fingerprint())));
}

TEST_F(Api, a_memory_file_tells_of_itself_without_its_model) {
  Memory memory(model());
  Reader(memory).read(text(40));  // 41 tokens: two chunks and nine
  memory.save(dir_ / "it.memory");
  for (const MemoryInfo& info : {memory_info(dir_ / "it.memory"), check_memory_file(dir_ / "it.memory")}) {
    EXPECT_EQ(info.position, memory.position());
    EXPECT_EQ(info.filled, memory.position() % kChunk);
    EXPECT_EQ(info.steps, memory.steps());
    EXPECT_EQ(info.batch, 1);
    EXPECT_EQ(info.form, MemoryForm::working);
    EXPECT_EQ(info.model_fingerprint, memory.model().fingerprint());
    EXPECT_EQ(info.bytes, std::filesystem::file_size(dir_ / "it.memory"));
  }
  memory.save(dir_ / "small.memory", MemoryForm::compact);
  EXPECT_EQ(memory_info(dir_ / "small.memory").form, MemoryForm::compact);

  std::string damaged = read_file(dir_ / "it.memory", 1 << 24);
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  put(dir_ / "damaged.memory", damaged);
  EXPECT_EQ(memory_info(dir_ / "damaged.memory").position, memory.position()) << "its beginning is whole";
  EXPECT_THAT(error_of([&] { check_memory_file(dir_ / "damaged.memory"); }),
              ::testing::HasSubstr("damaged.memory: the checksum does not match"));
  for (const char* memories : {"it.memory", "small.memory", "damaged.memory"})
    EXPECT_TRUE(is_memory_file(dir_ / memories)) << memories;
  for (const char* others : {"", "none", "config.json", "model.safetensors"})
    EXPECT_FALSE(is_memory_file(dir_ / others)) << others;
}

TEST_F(Api, rewinding_equals_never_having_read_on) {
  const Model m = model();
  const std::string book = text(10 * kChunk - 1);  // with the beginning of text: ten chunks
  Memory memory(m);
  memory.keep_boundaries(uint64_t{1} << 30);
  Reader(memory).read(book);
  ASSERT_EQ(memory.boundaries().size(), 10u);
  for (const int64_t boundary : {10 * kChunk, 7 * kChunk, kChunk}) {
    Memory never(m);
    Reader(never).read(book.substr(0, static_cast<size_t>(boundary - 1)));
    memory.rewind(boundary);
    EXPECT_EQ(memory.position(), boundary);
    EXPECT_EQ(memory.boundaries().back(), boundary);
    expect_near(scores(memory), scores(never), 2e-5);
  }
  EXPECT_THROW(memory.rewind(9 * kChunk), UsageError);  // went with the rest
  EXPECT_THROW(memory.rewind(3), UsageError);
}

TEST_F(Api, what_was_given_out_was_read_though_the_caller_throws) {
  const Model m = model();
  Memory memory(m);
  Reader(memory).read(text(5));
  GenerateOptions options;
  options.max_tokens = 20;
  options.sampling.logit_bias[0] = -INFINITY;
  int parts = 0;
  const auto fails_at_the_third = [&](std::string_view) {
    if (++parts == 3) throw std::runtime_error("no more");
  };
  EXPECT_THROW(generate(memory, options, fails_at_the_third), std::runtime_error);
  EXPECT_GE(memory.position(), 5 + 3);
  Memory before(memory);
  EXPECT_NO_THROW(generate(before, options));
}

TEST_F(Api, boundaries_stay_within_their_budget_and_the_latest_are_kept) {
  const Model m = model();
  Memory memory(m);
  Reader(memory).read(text(10 * kChunk - 1));
  const uint64_t budget = 3 * memory.bytes() + memory.bytes() / 2;
  memory.keep_boundaries(budget);
  EXPECT_TRUE(memory.boundaries().empty());
  Reader(memory).read(text(5 * kChunk));
  EXPECT_EQ(memory.boundaries(), (std::vector<int64_t>{13 * kChunk, 14 * kChunk, 15 * kChunk}));
  // Token by token, as writing does.
  GenerateOptions options;
  options.max_tokens = kChunk;
  options.sampling.logit_bias[0] = -INFINITY;
  generate(memory, options);
  EXPECT_EQ(memory.boundaries(), (std::vector<int64_t>{14 * kChunk, 15 * kChunk, 16 * kChunk}));
  Memory fork = memory;
  fork.rewind(14 * kChunk);
  EXPECT_EQ(memory.boundaries().size(), 3u);
  memory.keep_boundaries(2 * memory.bytes() + memory.bytes() / 2);
  EXPECT_EQ(memory.boundaries(), (std::vector<int64_t>{15 * kChunk, 16 * kChunk})) << "with less room the oldest go";
  memory.keep_boundaries(uint64_t{1} << 30);
  EXPECT_EQ(memory.boundaries().size(), 2u) << "with more room none goes";
  memory.keep_boundaries(0);
  EXPECT_TRUE(memory.boundaries().empty());
}

TEST_F(Api, keeping_boundaries_does_not_change_what_is_read) {
  const Model m = model();
  Memory plain(m), keeping(m);
  keeping.keep_boundaries(uint64_t{1} << 30);
  const Reading a = Reader(plain).read(text(155)), b = Reader(keeping).read(text(155));
  expect_near({a.nll.begin() + 1, a.nll.end()}, {b.nll.begin() + 1, b.nll.end()}, 2e-5);
  EXPECT_EQ(plain.steps(), keeping.steps());
}

TEST_F(Api, writing_is_reading) {
  const Model m = model();
  Memory writer(m);
  Reader(writer).read(text(30));
  Memory reader = writer;
  GenerateOptions options;
  options.max_tokens = 40;
  options.sampling.seed = 3;
  std::string streamed;
  const Generated out = generate(writer, options, [&](std::string_view part) { streamed += part; });
  EXPECT_EQ(streamed, out.text);
  Reader(reader).read(out.tokens);
  EXPECT_EQ(reader.position(), writer.position());
  expect_near(scores(reader), scores(writer), 2e-5);
  EXPECT_EQ(out.text, [&] {
    Memory again(m);
    Reader(again).read(text(30));
    return generate(again, options).text;
  }());
}

TEST_F(Api, a_conversation_copies_its_windows_once_and_reads_the_same) {
  const Model m = model();
  Memory memory(m), plain(m);
  GenerateOptions options;
  options.max_tokens = 9;
  options.sampling.logit_bias[0] = -INFINITY;
  for (unsigned turn = 0; turn < 5; ++turn) {
    const std::string question = text(20 + turn, turn);
    Reader(memory).read(question);
    Reader(plain).read(question);
    Memory elsewhere = plain;  // one that has no rings yet
    const Generated out = generate(memory, options);
    EXPECT_EQ(out.text, generate(elsewhere, options).text);
    plain = elsewhere;
  }
  EXPECT_EQ(memory.state().session.loads().whole, 1);
  EXPECT_EQ(memory.state().session.loads().parts, 4);
  const std::vector<float> then = scores(memory);
  const Memory before = memory;
  Reader(memory).read(text(30, 77));
  memory = before;
  EXPECT_EQ(scores(memory), then);
  EXPECT_EQ(generate(memory, options).tokens.size(), 9u);
  EXPECT_EQ(memory.state().session.loads().whole, 2) << "what came back is in the same rings";
}

TEST_F(Api, what_is_learnt_from_can_be_chosen) {
  const auto after = [&](Learn learn) {
    Memory memory(model());
    Reader(memory, {.learn = learn != Learn::off}).read(text(8));
    GenerateOptions options;
    options.max_tokens = kChunk;
    options.learn = learn;
    options.sampling.logit_bias[0] = -INFINITY;
    generate(memory, options);
    return memory;
  };
  const Memory all = after(Learn::all), input = after(Learn::input), off = after(Learn::off);
  EXPECT_EQ(all.steps(), 1);
  EXPECT_EQ(input.steps(), 1);  // of the given part of its chunk
  EXPECT_EQ(off.steps(), 0);
  EXPECT_NE(scores(all), scores(input));
  EXPECT_NE(scores(input), scores(off));
}

TEST_F(Api, steps_are_reported_and_lower_the_loss_of_their_chunk) {
  Memory memory(model());
  std::vector<InnerStep> steps;
  Reader(memory, {.measure_steps = true, .on_step = [&](const InnerStep& step) { steps.push_back(step); }})
      .read(text(5 * kChunk));
  ASSERT_EQ(steps.size(), 5u);
  for (size_t i = 0; i < steps.size(); ++i) {
    EXPECT_EQ(steps[i].step, static_cast<int64_t>(i));
    EXPECT_LT(steps[i].loss_after, steps[i].loss_before);
    EXPECT_GT(steps[i].gradient_norm, 0);
  }
}

TEST_F(Api, a_text_that_was_stopped_is_over) {
  const Model m = model();
  Memory memory(m);
  enum { stop, fail, go } then = stop;
  Reader reader(
      memory, {.keep_going = [&](int64_t) { return then == fail ? throw std::runtime_error("enough") : then == go; }});
  EXPECT_TRUE(reader.feed(text(20000)).stopped);
  then = fail;
  EXPECT_THROW(reader.feed(text(20000)), std::runtime_error);
  then = go;
  const int64_t position = memory.position();
  EXPECT_EQ(reader.finish().tokens, 0) << "nothing of a text with a hole in it";
  EXPECT_EQ(memory.position(), position);
  EXPECT_NO_THROW(reader.read(std::vector<int32_t>{1, 2}));
}

TEST_F(Api, memories_of_one_model_can_be_read_into_by_several_threads) {
  const Model m = model();
  const auto read = [&](unsigned seed) {
    Memory memory(m);
    return Reader(memory).read(text(300, seed)).nll;
  };
  std::vector<std::vector<float>> alone, together(4);
  for (unsigned i = 0; i < 4; ++i) alone.push_back(read(i));
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < 4; ++i) threads.emplace_back([&, i] { together[i] = read(i); });
  }
  for (size_t i = 0; i < 4; ++i)
    EXPECT_TRUE(std::equal(alone[i].begin() + 1, alone[i].end(), together[i].begin() + 1)) << i;
}

TEST_F(Api, full_attention_has_no_window_and_its_memory_grows) {
  EXPECT_EQ(model().window(), 12);
  ModelConfig c = load_config(dir_ / "config.json");
  c.window = ModelConfig::kFullAttention;
  save_model(dir_, c, initial_weights(c, 5), at::kFloat);
  Memory memory(model());
  EXPECT_EQ(memory.model().window(), std::nullopt);
  Reader(memory).read(text(4 * kChunk - 1));
  const uint64_t before = memory.bytes();
  Reader(memory).read(text(4 * kChunk));
  EXPECT_GT(memory.bytes(), before);
}

TEST_F(Api, the_device_is_chosen_by_name) {
  EXPECT_EQ(Model::load(dir_, {.device = "cpu"}).device(), "cpu");
  const std::string here = Model::load(dir_).device();
  EXPECT_TRUE(here == "cpu" || here.starts_with("cuda:")) << here;
  EXPECT_THROW(Model::load(dir_, {.device = "gpu"}), UsageError);
  EXPECT_THROW(Model::load(dir_, {.device = "cuda:99"}), UsageError);
}

TEST_F(Api, an_option_that_does_not_fit_is_told_apart_from_what_is_wrong_with_it) {
  try {
    Model::load(dir_, {.device = "gpu"});
    FAIL();
  } catch (const OptionError& e) {
    EXPECT_EQ(e.option(), "device");
    EXPECT_TRUE(e.reason().starts_with("'gpu' is not known; choose")) << e.reason();
    EXPECT_EQ(e.what(), "device " + e.reason());
  }
  GenerateOptions options;
  options.sampling.top_k = -1;
  Memory memory(model());
  Reader(memory).read("some");
  try {
    generate(memory, options);
    FAIL();
  } catch (const OptionError& e) {
    EXPECT_EQ(e.option(), "top_k");
  }
}

TEST_F(Api, a_score_adds_up_what_was_predicted) {
  const Model m = model();
  Memory memory(m);
  const std::vector<int32_t> tokens = m.encode_document(text(100));
  EXPECT_EQ(tokens.front(), m.begin_of_text());
  const Reading reading = Reader(memory).read(tokens);
  const Score all = score(m, tokens, reading.nll, 1);
  EXPECT_EQ(all.scored, 100);
  double sum = 0;
  for (size_t i = 1; i < reading.nll.size(); ++i) sum += reading.nll[i];
  EXPECT_NEAR(all.mean_nll, sum / 100, 1e-9);
  EXPECT_NEAR(*all.bits_per_byte, sum / 100 / std::log(2), 1e-9) << "a token of this vocabulary is a byte";
  const auto bins = doubling_bins(all.nll, 16);
  ASSERT_EQ(bins.size(), 4u);
  EXPECT_EQ(bins[3].end, 101);
  EXPECT_EQ(bins[0].scored, 15) << "the first of all is not";
}

TEST_F(Api, a_model_without_a_tokenizer_reads_tokens_alone) {
  const std::vector<int32_t> tokens = model().encode_document(text(60));
  Memory with(model());
  Reader(with).read(tokens);
  std::filesystem::remove(dir_ / "tokenizer.json");
  EXPECT_TRUE(contains(error_of([&] { model(); }), "no tokenizer there"));
  const Model m = Model::load(dir_, {.dtype = "fp32", .need_tokenizer = false});
  Memory without(m);
  const Reading reading = Reader(without).read(tokens);
  EXPECT_EQ(without.position(), with.position());
  EXPECT_FALSE(score(m, tokens, reading.nll, 1).bits_per_byte);
  EXPECT_TRUE(contains(error_of([&] { Reader(without).read("text"); }), "no tokenizer there"));
  EXPECT_TRUE(contains(error_of([&] { static_cast<void>(m.encode("text")); }), "no tokenizer there"));
}

TEST_F(Api, misuse_is_refused_with_the_remedy) {
  const Model m = model();
  Memory memory(m);
  EXPECT_TRUE(contains(error_of([&] { generate(memory, {}); }), "nothing was read"));
  Reader reader(memory);
  reader.feed("half a sen");
  const std::vector<int32_t> tokens{1, 2}, wrong{1, 257};
  EXPECT_TRUE(contains(error_of([&] { reader.read(tokens); }), "finish()"));
  reader.finish();
  EXPECT_TRUE(contains(error_of([&] { reader.read(wrong); }), "another tokenizer"));
  GenerateOptions hot;
  hot.sampling.temperature = -1;
  EXPECT_THROW(generate(memory, hot), UsageError);
  EXPECT_THROW(Model::load(dir_, {.dtype = "fp8"}), UsageError);
  EXPECT_TRUE(contains(error_of([&] { Model::load(dir_, {.dtype = "fp8"}); }), "dtype 'fp8' is not known"));
  EXPECT_TRUE(contains(error_of([&] { Model::load(dir_, {.device = "gpu"}); }), "device 'gpu' is not known"));
  EXPECT_TRUE(contains(error_of([&] { Model::load(dir_ / "nowhere"); }), "nowhere"));
}

}  // namespace
}  // namespace ingrain
