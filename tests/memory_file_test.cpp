#include "ttt/memory_file.h"

#include "same_memory.h"
#include "scratch.h"
#include "tensor_file.h"

#include <gmock/gmock.h>

namespace ingrain::ttt {
namespace {

using test::random_tokens;
using test::tiny_model;
using test::TinyShape;

class MemoryFile : public ScratchTest {
 protected:
  /// A file's parts, to be changed and written again.
  struct Parts {
    std::map<std::string, Tensor> tensors;
    std::map<std::string, std::string> metadata;
  };
  static Parts take_apart(const std::filesystem::path& path) {
    const formats::SafetensorsFile file(path);
    Parts out;
    for (const auto& [name, entry] : file.tensors()) out.tensors[name] = read_tensor(file, name);
    out.metadata = file.metadata();
    return out;
  }
  static void put_together(const Parts& parts, const std::filesystem::path& path) {
    test::write_tensors(parts.tensors, path, parts.metadata);
  }
  /// With the right checksum, as somebody who means harm would write it.
  static void put_together_sealed(Parts parts, const std::filesystem::path& path) {
    put_together(parts, path);
    parts.metadata["checksum"] = memory_checksum(formats::SafetensorsFile(path));
    put_together(parts, path);
  }

  std::filesystem::path saved(const Network& model, int64_t tokens) {
    Memory memory = empty_memory(model);
    read(model, memory, random_tokens(model.config, 1, tokens));
    save_memory(dir_ / "m.memory", model, memory);
    return dir_ / "m.memory";
  }
};

void expect_identical(const Network& model, const Memory& a, const Memory& b) {
  test::expect_same_memory(model, a, b, 0);
}

/// Reads `before` tokens, saves, loads, and continues both in the same way.
void expect_exact_continuation(const Network& model, int64_t before, const std::filesystem::path& path,
                               int64_t batch = 1) {
  SCOPED_TRACE(fmt::format("after {} tokens", before));
  Memory kept = empty_memory(model, batch);
  read(model, kept, random_tokens(model.config, batch, before, 11));
  save_memory(path, model, kept);
  Memory loaded = load_memory(path, model);
  expect_identical(model, kept, loaded);
  for (const int64_t n : {1, 3, 30}) {
    const Tensor tokens_Bn = random_tokens(model.config, batch, n, static_cast<uint64_t>(100 + n));
    const Tensor a = read(model, kept, tokens_Bn).nll_Bn, b = read(model, loaded, tokens_Bn).nll_Bn;
    EXPECT_TRUE(at::equal(a.nan_to_num(-1), b.nan_to_num(-1)));
    EXPECT_TRUE(at::equal(next_logits(model, kept), next_logits(model, loaded)));
  }
  expect_identical(model, kept, loaded);
}

TEST_F(MemoryFile, save_load_continue_equals_continuing_bit_for_bit) {
  for (const auto type : {at::kFloat, at::kBFloat16, at::kDouble}) {
    const Network model = tiny_model({}, type);  // chunk 8, window 12
    // Nothing read; inside the first chunk; a step pending; just after it; later chunks, with a full window.
    for (const int64_t before : {0, 1, 5, 8, 9, 16, 21, 24})
      expect_exact_continuation(model, before, dir_ / "m.memory");
  }
}

TEST_F(MemoryFile, the_same_holds_for_batches_full_attention_and_models_without_fast_weights) {
  expect_exact_continuation(tiny_model({}, at::kFloat), 13, dir_ / "m.memory", 3);
  expect_exact_continuation(tiny_model({.window = ModelConfig::kFullAttention}, at::kFloat), 21, dir_ / "m.memory");
  expect_exact_continuation(tiny_model({.suffix = 0}, at::kFloat), 21, dir_ / "m.memory");
  expect_exact_continuation(tiny_model({.suffix = 3, .window = 1}, at::kFloat), 21, dir_ / "m.memory");
}

TEST_F(MemoryFile, the_same_holds_for_windows_that_differ_and_for_recurrent_states) {
  for (const auto type : {at::kFloat, at::kBFloat16})
    for (const TinyShape& shape :
         {TinyShape{.layers = 4, .suffix = 3, .window = 5, .full = 2},
          TinyShape{.layers = 4, .suffix = 3, .window = 5, .mixers = {{"gated_delta_net", 2}}},
          TinyShape{.mixers = {{"gated_delta_net", 1}}},
          TinyShape{.layers = 4, .suffix = 3, .mixers = {{"gated_delta_net", 2}}, .full = 3},
          TinyShape{.layers = 4, .suffix = 3, .mixers = {{"gated_delta_net", 3}, {"mamba2", 2}}}}) {
      const Network model = tiny_model(shape, type);
      for (const int64_t before : {0, 1, 5, 8, 9, 16, 21})
        expect_exact_continuation(model, before, dir_ / "m.memory", before == 21 ? 3 : 1);
    }
  for (const TinyShape& shape : test::shapes_of_recurrent_mixers())
    for (const int64_t before : {1, 9, 21})
      expect_exact_continuation(tiny_model(shape, at::kFloat), before, dir_ / "m.memory");
}

TEST_F(MemoryFile, the_same_holds_for_other_rules_of_the_inner_step) {
  for (const InnerRule& rule : test::other_inner_rules())
    for (const auto type : {at::kFloat, at::kBFloat16})
      for (const int64_t before : {0, 5, 8, 21})
        expect_exact_continuation(tiny_model({.inner_lr = test::rate_of(rule), .inner = rule}, type), before,
                                  dir_ / "m.memory", before == 21 ? 3 : 1);
}

TEST_F(MemoryFile, the_same_holds_for_steps_that_take_effect_later) {
  for (const TinyShape& shape : test::shapes_of_delayed_steps())
    for (const auto type : {at::kFloat, at::kBFloat16})
      for (const int64_t before : {0, 5, 8, 9, 21, 53})
        expect_exact_continuation(tiny_model(shape, type), before, dir_ / "m.memory", before == 21 ? 3 : 1);
}

TEST_F(MemoryFile, weights_before_a_step_are_a_part_of_it_in_both_forms) {
  const Network at_once = tiny_model({}, at::kFloat), model = tiny_model({.inner = {.step_delay = 3}}, at::kFloat);
  EXPECT_EQ(read_memory_info(saved(model, 8)).version, 2) << "in the first chunk there are none";
  const auto path = dir_ / "delayed.memory";
  std::filesystem::rename(saved(model, 20), path);
  EXPECT_EQ(read_memory_info(path).version, 4);
  const Memory memory = load_memory(path, model);
  ASSERT_EQ(memory.early_S.size(), 2u);
  EXPECT_GT((memory.early_S[1].w2_DF - memory.W_S[1].w2_DF).abs().max().item<double>(), 0);
  save_memory(dir_ / "compact.memory", model, memory, MemoryForm::compact);
  const Memory compact = load_memory(dir_ / "compact.memory", model);
  EXPECT_LT((memory.early_S[1].w2_DF - compact.early_S[1].w2_DF).abs().max().item<double>(), 1e-2);

  // With a delay a memory of before there was one goes on, and without one that of one.
  Memory old = load_memory(saved(at_once, 20), model), later = load_memory(path, at_once);
  EXPECT_TRUE(old.early_S.empty());
  read(model, old, random_tokens(model.config, 1, 9, 3));
  read(at_once, later, random_tokens(model.config, 1, 9, 3));
  EXPECT_FALSE(old.early_S.empty());
  EXPECT_TRUE(later.early_S.empty());

  Parts parts = take_apart(path);
  parts.tensors.erase("early.1.w2");
  put_together_sealed(parts, dir_ / "less.memory");
  EXPECT_TRUE(contains(error_of([&] { load_memory(dir_ / "less.memory", model); }), "early.1.w2"));
}

TEST_F(MemoryFile, momentum_is_a_part_of_it_and_of_its_sizes_and_files_from_before_there_was_any_are_read) {
  const Network plain = tiny_model({}, at::kFloat), model = tiny_model({.inner = {.momentum = 0.9}}, at::kFloat);
  const auto path = saved(model, 21);
  EXPECT_EQ(read_memory_info(path).version, 3);
  const Memory memory = load_memory(path, model);
  uint64_t momentum = 0;
  for (const Mlp& M : memory.M_S) {
    EXPECT_GT(M.w2_DF.abs().max().item<double>(), 0);
    momentum += M.w13_FD.nbytes() + M.w2_DF.nbytes();
  }
  ASSERT_EQ(memory.M_S.size(), 2u);
  const Memory without = load_memory(saved(plain, 21), plain);
  EXPECT_EQ(memory_bytes(memory), memory_bytes(without) + momentum);
  EXPECT_EQ(least_file_bytes(model, 21), least_file_bytes(plain, 21) + momentum);
  EXPECT_EQ(read_memory_info(dir_ / "m.memory").version, 2) << "what has no momentum is as it was";
  // A file of a program that knew no momentum: at rest.
  for (const Mlp& M : load_memory(dir_ / "m.memory", model).M_S) EXPECT_EQ(M.w2_DF.abs().max().item<double>(), 0);

  save_memory(path, model, memory);
  Parts parts = take_apart(path);
  parts.tensors.erase("momentum.1.w2");
  put_together_sealed(parts, dir_ / "less.memory");
  EXPECT_TRUE(contains(error_of([&] { load_memory(dir_ / "less.memory", model); }), "momentum.1.w2"));
  EXPECT_TRUE(contains(error_of([&] { load_memory(path, plain); }), "tensors where"));
}

TEST_F(MemoryFile, a_recurrent_state_takes_the_same_room_after_any_text_and_is_checked) {
  const Network model = tiny_model({.layers = 4, .suffix = 3, .mixers = {{"gated_delta_net", 1}}}, at::kFloat);
  const auto bytes = [&](int64_t tokens) {
    Memory memory = empty_memory(model);
    read(model, memory, random_tokens(model.config, 1, tokens));
    return memory_bytes(memory);
  };
  EXPECT_EQ(bytes(13), bytes(1005));  // both within a chunk
  const Parts whole = take_apart(saved(model, 21));
  EXPECT_TRUE(whole.tensors.contains("layer.3.delta") && whole.tensors.contains("layer.3.before_chunk.conv"));
  EXPECT_FALSE(whole.tensors.contains("layer.1.before_chunk.delta")) << "the first suffix block needs none";
  const auto refusal = [&](const char* name, const Tensor& x) {
    Parts parts = whole;
    if (x.defined())
      parts.tensors[name] = x;
    else
      parts.tensors.erase(name);
    put_together_sealed(parts, dir_ / "changed.memory");
    return error_of([&] { load_memory(dir_ / "changed.memory", model); });
  };
  EXPECT_THAT(refusal("layer.3.delta", {}), ::testing::HasSubstr("layer.3.delta"));
  EXPECT_THAT(refusal("layer.3.delta", at::zeros({1, 2, 4, 5})), ::testing::HasSubstr("[1, 2, 4, 6] belongs there"));
  EXPECT_THAT(refusal("layer.0.conv", at::full({1, 2, 20}, NAN)), ::testing::HasSubstr("layer.0.conv"));
  EXPECT_THAT(refusal("layer.0.k", at::zeros({1, 2, 2, 8})), ::testing::HasSubstr("tensors where"));
}

TEST_F(MemoryFile, in_its_files_own_pages_it_is_the_same_outlives_the_name_and_writes_to_no_file) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const Network model = tiny_model({.layers = 4, .suffix = 3}, type);
    const std::filesystem::path path = saved(model, 21);
    const std::string bytes = read_file(path, 1 << 20);
    Memory mapped = load_memory(path, model, Room::mapped);
    Memory copied = load_memory(path, model);
    mapped.visit([](const std::string&, const Tensor& x) { x.add_(x); });
    EXPECT_EQ(read_file(path, 1 << 20), bytes);
    mapped = load_memory(path, model, Room::mapped);
    std::filesystem::remove(path);
    expect_identical(model, mapped.fork(), copied);
    Memory on = mapped.fork();
    for (Memory* memory : {&on, &copied}) read(model, *memory, random_tokens(model.config, 1, 40, 8));
    expect_identical(model, on, copied);
    EXPECT_NE(on.steps, mapped.steps);
  }
}

TEST_F(MemoryFile, a_byte_that_changed_is_found_in_its_files_own_pages) {
  const Network model = tiny_model({}, at::kFloat);
  std::string bytes = read_file(saved(model, 21), 1 << 20);
  bytes[bytes.size() - 100] ^= 1;
  write_file(dir_ / "m.memory", bytes);
  EXPECT_THAT(error_of([&] { load_memory(dir_ / "m.memory", model, Room::mapped); }), ::testing::HasSubstr("checksum"));
}

TEST_F(MemoryFile, a_fork_never_changes_its_origin) {
  const Network model = tiny_model({}, at::kFloat);
  Memory origin = empty_memory(model);
  read(model, origin, random_tokens(model.config, 1, 21));
  save_memory(dir_ / "before.memory", model, origin);
  Memory fork = origin.fork();
  expect_identical(model, fork, origin);
  read(model, fork, random_tokens(model.config, 1, 40, 8));
  expect_identical(model, origin, load_memory(dir_ / "before.memory", model));
  EXPECT_NE(fork.steps, origin.steps);
}

TEST_F(MemoryFile, shrunk_it_goes_on_and_is_saved_to_the_last_bit_as_it_would_have_been) {
  for (const TinyShape& shape :
       {TinyShape{}, TinyShape{.layers = 4, .mixers = {{"gated_delta_net", 2}}}, TinyShape{.suffix = 0}}) {
    const Network model = tiny_model(shape, at::kFloat);
    for (const int64_t tokens : {0, 1, 8, 21, 40}) {
      SCOPED_TRACE(tokens);
      Memory origin = empty_memory(model);
      if (tokens > 0) read(model, origin, random_tokens(model.config, 1, tokens));
      const Memory shrunk = origin.shrunk();
      expect_identical(model, shrunk, origin);
      EXPECT_EQ(memory_bytes(shrunk), memory_bytes(origin));
      Memory fork = shrunk.fork(), again = shrunk.shrunk().fork();
      read(model, origin, random_tokens(model.config, 1, 30, 8));
      read(model, fork, random_tokens(model.config, 1, 30, 8));
      read(model, again, random_tokens(model.config, 1, 30, 8));
      expect_identical(model, fork, origin);
      expect_identical(model, again, origin);
      EXPECT_EQ(shrunk.position, tokens);
    }
  }
}

TEST_F(MemoryFile, the_same_memory_gives_the_same_bytes) {
  const Network model = tiny_model({}, at::kFloat);
  const std::string first = read_file(saved(model, 21), 1 << 20);
  EXPECT_EQ(first, read_file(saved(model, 21), 1 << 20));
}

TEST_F(MemoryFile, the_size_does_not_grow_with_what_was_read) {
  const Network model = tiny_model({}, at::kFloat);
  const auto size = [&](int64_t tokens) { return read_memory_info(saved(model, tokens)).bytes; };
  EXPECT_NEAR(static_cast<double>(size(28)), static_cast<double>(size(204)), 128);  // the header's digits and padding
}

TEST_F(MemoryFile, compact_files_are_smaller_and_predict_nearly_the_same) {
  const Network model = tiny_model({}, at::kFloat);
  Memory memory = empty_memory(model);
  read(model, memory, random_tokens(model.config, 1, 61));
  save_memory(dir_ / "working", model, memory);
  save_memory(dir_ / "compact", model, memory, MemoryForm::compact);
  Memory loaded = load_memory(dir_ / "compact", model);
  EXPECT_EQ(read_memory_info(dir_ / "compact").form, MemoryForm::compact);
  EXPECT_LT(read_memory_info(dir_ / "compact").bytes,
            0.62 * static_cast<double>(read_memory_info(dir_ / "working").bytes));
  // A difference is small beside the weights, so bf16 keeps more of it than bf16 weights would.
  const Tensor error = (loaded.W_S[0].w13_FD - memory.W_S[0].w13_FD).abs().max();
  const Tensor change = (memory.W_S[0].w13_FD - model.weights.fast_S[0].w13_FD).abs().max();
  EXPECT_GT(change.item<double>(), 0);
  EXPECT_LE(error.item<double>(), change.item<double>() / 256 + 1e-7);
  const Tensor next = random_tokens(model.config, 1, 20, 77);
  EXPECT_LT(test::max_difference(read(model, memory, next).nll_Bn, read(model, loaded, next).nll_Bn), 0.1);
}

// As from a GPU, where "auto" computes in bf16, to a processor that computes in fp32, and back.
TEST_F(MemoryFile, a_memory_goes_from_one_compute_type_to_another_and_comes_back_unchanged) {
  const Network there = tiny_model({}, at::kBFloat16), here = tiny_model({}, at::kFloat);
  Memory origin = empty_memory(there);
  read(there, origin, random_tokens(there.config, 1, 21));
  save_memory(dir_ / "there.memory", there, origin);
  Memory moved = load_memory(dir_ / "there.memory", here);
  EXPECT_EQ(moved.x_BD.scalar_type(), at::kFloat);
  save_memory(dir_ / "here.memory", here, moved);
  expect_identical(there, origin, load_memory(dir_ / "here.memory", there));
  const Tensor next = random_tokens(there.config, 1, 20, 77);
  EXPECT_LT(test::max_difference(read(there, origin, next).nll_Bn, read(here, moved, next).nll_Bn), 0.2);
}

// As programs before 0.3 wrote them.
TEST_F(MemoryFile, files_of_version_1_are_read_with_the_same_bits) {
  const Network model = tiny_model({}, at::kFloat);
  const auto path = saved(model, 21);
  const Memory expected = load_memory(path, model);
  Parts parts = take_apart(path), old;
  for (const auto& [name, tensor] : parts.tensors)
    old.tensors[name.starts_with("layer.") ? "window." + name.substr(6) : name] = tensor;
  ASSERT_TRUE(old.tensors.contains("window.2.v"));
  old.metadata = parts.metadata;
  old.metadata["version"] = "1";
  put_together_sealed(old, dir_ / "old.memory");
  EXPECT_EQ(read_memory_info(dir_ / "old.memory").version, 1);
  expect_identical(model, expected, load_memory(dir_ / "old.memory", model));
  // Neither version's names are known in the other.
  old.metadata["version"] = "2";
  put_together_sealed(old, dir_ / "mixed.memory");
  EXPECT_TRUE(contains(error_of([&] { load_memory(dir_ / "mixed.memory", model); }), "layer.0.k"));
}

TEST_F(MemoryFile, a_memory_of_another_model_is_refused_with_both_names) {
  const Network model = tiny_model({}, at::kFloat);
  Network other = tiny_model({}, at::kFloat, 6);
  other.fingerprint = "another";
  const auto path = saved(model, 21);
  const std::string error = error_of([&] { load_memory(path, other); });
  EXPECT_TRUE(contains(error, "tiny")) << error;
  EXPECT_TRUE(contains(error, "another")) << error;
}

TEST_F(MemoryFile, a_changed_byte_anywhere_is_found) {
  const Network model = tiny_model({}, at::kFloat);
  const std::string good = read_file(saved(model, 21), 1 << 20);
  for (size_t at = 0; at < good.size(); at += std::max<size_t>(good.size() / 300, 1)) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    EXPECT_NE(error_of([&] { load_memory(put(dir_ / "bad", bad), model); }), "") << "byte " << at;
  }
  for (const size_t size : {size_t{0}, size_t{7}, size_t{100}, good.size() / 2, good.size() - 1})
    EXPECT_NE(error_of([&] { load_memory(put(dir_ / "bad", good.substr(0, size)), model); }), "") << size << " bytes";
}

TEST_F(MemoryFile, hostile_counts_and_shapes_are_refused_before_anything_large_is_allocated) {
  const Network model = tiny_model({}, at::kFloat);
  const Parts good = take_apart(saved(model, 21));
  const auto error = [&](auto change) {
    Parts parts = good;
    for (auto& [name, tensor] : parts.tensors) tensor = tensor.clone();
    change(parts);
    put_together_sealed(parts, dir_ / "bad");
    return error_of([&] { load_memory(dir_ / "bad", model); });
  };
  const char* const huge[] = {"-1", "99999999999999999999", "9223372036854775807", "65536", "x", ""};
  for (const char* key : {"position", "filled", "steps", "batch", "version", "form", "model"}) {
    for (const char* value : huge)
      EXPECT_NE(error([&](Parts& p) { p.metadata[key] = value; }), "") << key << " = " << value;
    EXPECT_NE(error([&](Parts& p) { p.metadata.erase(key); }), "") << key;
  }
  for (const auto& [name, tensor] : good.tensors) {
    const std::string tensor_name = name;
    EXPECT_NE(error([&](Parts& p) { p.tensors.erase(tensor_name); }), "") << name;
    EXPECT_NE(error([&](Parts& p) { p.tensors[tensor_name] = at::zeros({1}); }), "") << name;
  }
  for (const char* name : {"fast.0.w13", "layer.1.k", "last", "chunk.h"}) {
    const auto spoilt = [&](double value) { return error([&](Parts& p) { p.tensors[name].view(-1)[0] = value; }); };
    EXPECT_TRUE(contains(spoilt(std::nan("")), name)) << spoilt(std::nan(""));
    EXPECT_NE(spoilt(INFINITY), "") << name;
  }
  const auto with_target = [&](int64_t index, int64_t id) {
    return error([&](Parts& p) { p.tensors["chunk.target"].view(-1)[index] = id; });
  };
  for (const int64_t id : {int64_t{-1}, int64_t{-2}, model.config.vocab_size, int64_t{1} << 40})
    EXPECT_TRUE(contains(with_target(0, id), "chunk.target")) << id;
  EXPECT_TRUE(contains(with_target(-1, -2), "chunk.target"));
  EXPECT_NE(error([](Parts& p) { p.tensors["more"] = at::zeros({1}); }), "");
  EXPECT_TRUE(contains(error([](Parts& p) { p.metadata["format"] = "pt"; }), "no memory file"));
  EXPECT_EQ(error([](Parts&) {}), "");
}

TEST_F(MemoryFile, the_metadata_can_be_read_without_the_model) {
  const Network model = tiny_model({}, at::kFloat);
  const MemoryInfo info = read_memory_info(saved(model, 21));
  EXPECT_EQ(info.position, 21);
  EXPECT_EQ(info.filled, 5);
  EXPECT_EQ(info.steps, 2);
  EXPECT_EQ(info.batch, 1);
  EXPECT_EQ(info.model_fingerprint, "tiny");
  EXPECT_TRUE(contains(info.config, "\"chunk_size\":8"));
}

}  // namespace
}  // namespace ingrain::ttt
