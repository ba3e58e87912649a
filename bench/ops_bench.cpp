// Every operation at the shapes of real models: achieved GFLOP/s and GB/s of the reference formulas, of our kernels and
// of what libtorch offers, beside the machine's peaks measured in the same run. A new operation is one more function
// that adds rows. Run on a quiet machine; --benchmark_filter=REGEX picks rows.
#include "base/allocator.h"
#include "ops/backend.h"
#include "ops/heads/heads.h"
#include "ops/linear/products.h"
#include "ops/linear_cross_entropy/linear_cross_entropy.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/swiglu/swiglu.h"
#include "ops/windowed_attention/windowed_attention.h"

#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <future>

namespace ingrain {
namespace {

using namespace ops;

/// One row: what it computes (multiply-adds count as two), and what it must at least read and write.
struct Work {
  double flops = 0, bytes = 0;
};

template <class Run>
void add(const std::string& name, Work work, Run run) {
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    const at::NoGradGuard no_grad;
    run();  // makes the inputs
    for (auto _ : state) run();
    const auto rate = [&](double amount) {
      return benchmark::Counter(amount * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
    };
    if (work.flops > 0) state.counters["GFLOP/s"] = rate(work.flops);
    if (work.bytes > 0) state.counters["GB/s"] = rate(work.bytes);
  })->Unit(benchmark::kMicrosecond)->UseRealTime();
}

Tensor random(at::IntArrayRef sizes, at::ScalarType type) { return (at::randn(sizes, at::kFloat) * 0.5).to(type); }
const char* name_of(at::ScalarType type) { return type == at::kFloat ? "fp32" : "bf16"; }

/// Inputs that rows share, made when the first of them runs.
template <class Make>
auto lazy(Make make) {
  return std::async(std::launch::deferred, make).share();
}

double size_of(at::ScalarType type) { return static_cast<double>(c10::elementSize(type)); }

void add_peaks() {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const auto ab = lazy([=] { return std::pair(random({2048, 2048}, type), random({2048, 2048}, type)); });
    add(fmt::format("peak/product/{}", name_of(type)), {2.0 * 2048 * 2048 * 2048, 0},
        [=] { product_nt(ab.get().first, ab.get().second); });
  }
  constexpr int64_t kNumbers = int64_t{1} << 26;
  const auto from = lazy([] { return at::ones({kNumbers}); }), to = lazy([] { return at::ones({kNumbers}); });
  add("peak/copy", {0, 8.0 * kNumbers}, [=] { Tensor(to.get()).copy_(from.get()); });
  add("peak/read", {0, 4.0 * kNumbers}, [=] { benchmark::DoNotOptimize(from.get().sum()); });
}

void add_rms_norm(at::ScalarType type, int64_t P, int64_t N, int64_t D) {
  struct In {
    Tensor x, residual, gy, w;
  };
  const auto in = lazy([=] {
    return In{random({P, N, D}, type), random({P, N, D}, type), random({P, N, D}, type), at::ones({D})};
  });
  const Work three{0, 3 * size_of(type) * static_cast<double>(P * N * D)};
  const auto row = [&](const char* pass, const char* who) {
    return fmt::format("rms_norm/{}/P{}/{}x{}/{}/{}", name_of(type), P, N, D, pass, who);
  };
  for (const auto& [who, k] : {std::pair{"ours", rms_norm_cpu}, {"reference", rms_norm_reference}}) {
    add(row("forward", who), three, [=, k = k] { k.forward(in.get().residual, in.get().x, in.get().w, 1e-6); });
    add(row("backward", who), three, [=, k = k] { k.backward(in.get().gy, in.get().x, in.get().w, 1e-6, true); });
  }
  if (P == 1)
    add(row("forward", "libtorch"), three,
        [=] { in.get().residual + at::rms_norm(in.get().x, {D}, in.get().w.to(type), 1e-6); });
}

void add_swiglu(at::ScalarType type, int64_t P, int64_t N, int64_t F) {
  const auto ab = lazy([=] { return random({P, N, 2 * F}, type); }), gu = lazy([=] { return random({P, N, F}, type); });
  const double plane = size_of(type) * static_cast<double>(P * N * F);
  const auto row = [&](const char* pass, const char* who) {
    return fmt::format("swiglu/{}/P{}/{}x{}/{}/{}", name_of(type), P, N, F, pass, who);
  };
  for (const auto& [who, k] : {std::pair{"ours", swiglu_cpu}, {"reference", swiglu_reference}}) {
    add(row("forward", who), {0, 3 * plane}, [=, k = k] { k.forward(ab.get()); });
    add(row("backward", who), {0, 5 * plane}, [=, k = k] { k.backward(gu.get(), ab.get()); });
  }
  if (P == 1)
    add(row("forward", "libtorch"), {0, 3 * plane},
        [=] { at::silu(ab.get().narrow(-1, 0, F)) * ab.get().narrow(-1, F, F); });
}

void add_heads(at::ScalarType type, int64_t P, int64_t T, int64_t H, int64_t d) {
  const HeadShape shape{H, H, d};
  struct In {
    Tensor qkv, norm;
    RopeTable rope;
    Heads g;
  };
  const auto in = lazy([=] {
    const Tensor angles = at::randn({T, d / 2});
    const auto part = [&] { return random({P, 1, T, H, d}, type); };
    return In{random({P, 1, T, shape.width()}, type), at::ones({d}), {angles.cos(), angles.sin(), true},
              {part(), part(), part()}};
  });
  const double stack = size_of(type) * static_cast<double>(P * T * shape.width());
  for (const auto& [who, k] : {std::pair{"ours", heads_cpu}, {"reference", heads_reference}}) {
    const auto row = [&](const char* pass) {
      return fmt::format("heads/{}/P{}/{}x{}x{}/{}/{}", name_of(type), P, T, H, d, pass, who);
    };
    add(row("forward"), {0, 2 * stack}, [=, k = k] {
      k.forward(in.get().qkv, in.get().norm, in.get().norm, in.get().rope, shape, 1e-6);
    });
    add(row("backward"), {0, 3 * stack}, [=, k = k] {
      k.backward(in.get().g, in.get().qkv, in.get().norm, in.get().norm, in.get().rope, shape, 1e-6, true);
    });
  }
}

void add_cross_entropy(at::ScalarType type, int64_t P, int64_t N, int64_t V) {
  struct In {
    Tensor z, target, a, nll, tangent_nll;
  };
  const auto in = lazy([=] {
    return In{random({P, N, V}, type), at::randint(V, {N}, at::kLong), at::ones({N}) / N, at::empty({N}), at::empty({N})};
  });
  const double logits = size_of(type) * static_cast<double>(P * N * V);
  for (const auto& [who, k] : {std::pair{"ours", cross_entropy_cpu}, {"reference", cross_entropy_reference}})
    for (const bool gradient : {false, true})
      add(fmt::format("cross_entropy/{}/P{}/{}x{}/{}/{}", name_of(type), P, N, V, gradient ? "gradient" : "value", who),
          {0, (gradient ? 3 : 1) * logits}, [=, k = k] {
            auto [z, target, a, nll, tangent_nll] = in.get();
            k.rows(z, target, a, a, gradient, nll, tangent_nll);
          });
}

struct AttentionRow {
  at::ScalarType type;
  int64_t planes, tokens, past, q_heads, kv_heads, head_dim, window;
};

struct AttentionInputs {
  Tensor q, k, v, go;
  KvWindow past;
  Tensor all_k, all_v, seen;  // for libtorch: heads first, with the past, and the mask

  explicit AttentionInputs(const AttentionRow& r) {
    const auto now = [&](int64_t heads) { return random({r.planes, 1, r.tokens, heads, r.head_dim}, r.type); };
    const auto old = [&] { return random({1, r.past, r.kv_heads, r.head_dim}, r.type); };
    q = now(r.q_heads), k = now(r.kv_heads), v = now(r.kv_heads), go = now(r.q_heads);
    past = {old(), old()};
    all_k = at::cat({past.k_BWGd, k[0]}, 1).transpose(1, 2);
    all_v = at::cat({past.v_BWGd, v[0]}, 1).transpose(1, 2);
    const Tensor i = at::arange(r.past, r.past + r.tokens).unsqueeze(1), j = at::arange(r.past + r.tokens).unsqueeze(0);
    seen = j.le(i).logical_and_(j.gt(i - r.window));
  }
};

/// Multiply-adds of one product over visible keys, all keys and the new keys alone (the only ones with tangents), times 2.
struct AttentionProducts {
  double all = 0, fresh = 0;
  explicit AttentionProducts(const AttentionRow& r) {
    const double pair = 2.0 * static_cast<double>(r.q_heads * r.head_dim);
    for (int64_t i = 0; i < r.tokens; ++i) {
      all += pair * static_cast<double>(std::min(r.past + i + 1, r.window));
      fresh += pair * static_cast<double>(std::min(i + 1, r.window));
    }
  }
  double forward(int64_t planes) const { return planes == 1 ? 2 * all : 4 * all + 2 * fresh; }
  double backward(int64_t planes) const {  // past keys want no gradient
    return planes == 1 ? 3 * all + 2 * fresh : 6 * all + 9 * fresh;
  }
};

void add_attention(const AttentionRow& r, bool reference) {
  const auto in = lazy([=] { return AttentionInputs(r); });
  const double scale = 1 / std::sqrt(static_cast<double>(r.head_dim));
  const AttentionProducts products(r);
  const double keys = 2 * static_cast<double>((r.past + r.tokens * r.planes) * r.kv_heads * r.head_dim);
  const double queries = 2 * static_cast<double>(r.planes * r.tokens * r.q_heads * r.head_dim);
  const Work forward{products.forward(r.planes), size_of(r.type) * (keys + queries)};
  const auto row = [&](const char* pass, const char* who) {
    return fmt::format("attention/{}/P{}/T{}/past{}/H{}G{}d{}/k{}/{}/{}", name_of(r.type), r.planes, r.tokens, r.past,
                       r.q_heads, r.kv_heads, r.head_dim, r.window, pass, who);
  };
  const auto both = [&](const char* who, const AttentionKernels& k) {
    const auto run = [=] { return k.forward(in.get().q, in.get().k, in.get().v, in.get().past, r.window, scale); };
    add(row("forward", who), forward, run);
    if (r.tokens < 16) return;
    const auto out = lazy(run);
    add(row("backward", who), {products.backward(r.planes), 0}, [=] {
      k.backward(in.get().go, in.get().q, in.get().k, in.get().v, in.get().past, out.get(), r.window, scale, false);
    });
  };
  both("ours", attention_cpu);
  if (reference) both("reference", attention_reference);
  if (r.planes == 2) return;
  add(row("forward", "libtorch"), forward, [=] {
    at::scaled_dot_product_attention(in.get().q[0].transpose(1, 2), in.get().all_k, in.get().all_v, in.get().seen, 0, false,
                                     scale, r.q_heads != r.kv_heads);
  });
}

/// Products with weights [n, k] for m rows: x wᵀ, g w, gᵀ x.
void add_products(at::ScalarType type, int64_t m, int64_t n, int64_t k) {
  struct In {
    Tensor x, w, g;
  };
  const auto in = lazy([=] { return In{random({m, k}, type), random({n, k}, type), random({m, n}, type)}; });
  const Work work{2.0 * static_cast<double>(m * n * k), size_of(type) * static_cast<double>(m * k + n * k + m * n)};
  const auto row = [&](const char* form, const char* who) {
    return fmt::format("product/{}/{}/m{}/{}x{}/{}", form, name_of(type), m, n, k, who);
  };
  add(row("nt", "ours"), work, [=] { product_nt(in.get().x, in.get().w); });
  add(row("nt", "libtorch"), work, [=] { at::mm(in.get().x, in.get().w.t()); });
  if (m < 64) return;
  add(row("nn", "ours"), work, [=] { product_nn(in.get().g, in.get().w); });
  add(row("nn", "libtorch"), work, [=] { at::mm(in.get().g, in.get().w); });
  add(row("tn", "ours"), work, [=] { product_tn(in.get().g, in.get().x); });
  add(row("tn", "libtorch"), work, [=] { at::mm(in.get().g.t(), in.get().x); });
}

void add_all() {
  add_peaks();
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    for (const int64_t P : {1, 2}) {
      add_rms_norm(type, P, 256, 384);
      add_rms_norm(type, P, 4096, 768);
      add_swiglu(type, P, 256, 1024);
      add_swiglu(type, P, 4096, 2048);
      add_heads(type, P, 256, 6, 64);
      add_heads(type, P, 4096, 12, 64);
      add_cross_entropy(type, P, 64, 8192);
      add_cross_entropy(type, P, 64, 128256);
      add_attention({type, P, 256, 1023, 6, 6, 64, 1024}, true);
      add_attention({type, P, 1024, 1023, 6, 6, 64, 1024}, P == 1);
      add_attention({type, P, 1024, 4096, 12, 12, 64, 8192}, false);
    }
    add_attention({type, 1, 1, 2047, 9, 3, 64, 2048}, true);
    add_attention({type, 1, 1, 8191, 12, 12, 64, 8192}, true);
    for (const int64_t m : {1, 2, 4, 8, 16, 64, 256, 1024, 4096}) {
      add_products(type, m, 1152, 384);
      add_products(type, m, 2048, 768);
    }
    add_products(type, 1, 49152, 576);
  }
}

}  // namespace
}  // namespace ingrain

int main(int argc, char** argv) {
  ingrain::keep_freed_memory();
  ingrain::add_all();
  benchmark::AddCustomContext("threads", fmt::format("{}", at::get_num_threads()));
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
