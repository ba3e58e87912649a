#include "ops/checks.h"
#include "ops/graph/parallel.h"
#include "ops/ring_attention/ring_attention.h"
#include "ops/windowed_attention/cpu/decode_attention.h"

#include <ATen/ceil_div.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ingrain::ops {
namespace {

/// The rings of keys and of values; where they begin is looked up when a kernel runs.
struct Ring {
  int64_t slots, row;  // elements of a slot: all heads
  size_t element;
  const int64_t* position;  // of every sequence
  char *k, *v;

  Ring(const Tensor& k_BCGd, const Tensor& v_BCGd, const Tensor& at)
      : slots(k_BCGd.size(1)),
        row(k_BCGd.size(2) * k_BCGd.size(3)),
        element(k_BCGd.element_size()),
        position(at.const_data_ptr<int64_t>()),
        k(static_cast<char*>(k_BCGd.data_ptr())),
        v(static_cast<char*>(v_BCGd.data_ptr())) {}

  int64_t bytes(int64_t sequence, int64_t slot) const {
    return (sequence * slots + slot) * row * static_cast<int64_t>(element);
  }
};

/// What a sequence's query sees, in the order of positions, so that sums do not depend on where the ring begins.
/// `shape` has the rest.
DecodeAttention seen_by(DecodeAttention shape, const Ring& ring, int64_t sequence, const char* q) {
  const int64_t position = std::max<int64_t>(ring.position[sequence], -1),  // -1: it has no token, and sees nothing
      n = std::min(position + 1, shape.window), start = (position + 1 - n) % ring.slots;
  shape.before = n - 1;
  shape.first_rows = std::min(n, ring.slots - start);
  shape.q = q + sequence * shape.outputs() * shape.head_dim * static_cast<int64_t>(ring.element);
  const auto runs = [&](const char* x) {
    return KeyRuns{x + ring.bytes(sequence, start), x + ring.bytes(sequence, 0), ring.row, ring.row};
  };
  shape.k = runs(ring.k);
  shape.v = runs(ring.v);
  return shape;
}

/// o, of the window's keys alone, becomes that of them and the sink.
template <class T>
void join_sink(const RingSink& sink, const Tensor& position_B, const Tensor& lse_BH, const Tensor& o_BHd) {
  const Tensor s = sink.s_BH.contiguous(), v = sink.v_Gd.contiguous();
  const int64_t heads = o_BHd.size(1), groups = heads / v.size(0), d = o_BHd.size(2), from = sink.from;
  const auto *const scores = s.const_data_ptr<T>(), *const value = v.const_data_ptr<T>();
  const auto* const position = position_B.const_data_ptr<int64_t>();
  const auto* const lse = lse_BH.const_data_ptr<float>();
  auto* const o = o_BHd.data_ptr<T>();
  cpu::parallel(
      {s, v, position_B, lse_BH, o_BHd}, o_BHd.size(0), cpu::grain(heads * d), [=](int64_t begin, int64_t end) {
        for (int64_t b = begin; b < end; ++b) {
          if (position[b] < from) continue;
          for (int64_t h = b * heads; h < (b + 1) * heads; ++h) {
            const float p = 1 / (1 + std::exp(lse[h] - static_cast<float>(scores[h])));
            const T* const v_h = value + h % heads / groups * d;
            for (int64_t i = 0; i < d; ++i) {
              T& o_i = o[h * d + i];
              o_i =
                  static_cast<T>(static_cast<float>(o_i) + p * (static_cast<float>(v_h[i]) - static_cast<float>(o_i)));
            }
          }
        }
      });
}

Tensor attend(const Tensor& q_BHd, const Tensor& k_BCGd, const Tensor& v_BCGd, const Tensor& position_B, int64_t window,
              double scale, const RingSink& sink) {
  if (q_BHd.size(2) > kMaxHeadDim) return ring_reference.attend(q_BHd, k_BCGd, v_BCGd, position_B, window, scale, sink);
  const Tensor q = q_BHd.contiguous(), o = at::empty_like(q);
  if (o.numel() == 0) return o;
  const DecodeAttention shape{.type = number(q),
                              .queries = 1,
                              .q_heads = q.size(1),
                              .kv_heads = k_BCGd.size(2),
                              .head_dim = q.size(2),
                              .window = window,
                              .scale = static_cast<float>(scale),
                              .before = 0,
                              .first_rows = 0,
                              .q = nullptr,
                              .k = {},
                              .v = {}};
  const Ring ring(k_BCGd, v_BCGd, position_B);
  const int64_t batch = q.size(0), parts = at::ceil_div(int64_t{at::get_num_threads()}, batch);
  const auto call_of = [shape, ring, q, k_BCGd, v_BCGd,
                        position_B](int64_t sequence) {  // holds the tensors that the ring points at
    return seen_by(shape, ring, sequence, static_cast<const char*>(q.const_data_ptr()));
  };
  const Tensor lse = sink.defined() ? at::empty({batch, q.size(1)}, at::kFloat) : Tensor();
  decode_attention(batch, parts, 1, call_of, o, lse);
  if (sink.defined())
    q.scalar_type() == at::kFloat ? join_sink<float>(sink, position_B, lse, o)
                                  : join_sink<c10::BFloat16>(sink, position_B, lse, o);
  return o;
}

void store(const Tensor& k_BGd, const Tensor& v_BGd, const Tensor& k_BCGd, const Tensor& v_BCGd,
           const Tensor& position_B) {
  const Tensor k = k_BGd.contiguous(), v = v_BGd.contiguous();
  const Ring ring(k_BCGd, v_BCGd, position_B);
  const auto *const k_from = static_cast<const char*>(k.const_data_ptr()), *const v_from = static_cast<const char*>(
                                                                               v.const_data_ptr());
  cpu::parallel({k, v, k_BCGd, v_BCGd, position_B}, k.size(0), cpu::grain(ring.row), [=](int64_t begin, int64_t end) {
    const size_t bytes = static_cast<size_t>(ring.row) * ring.element;
    for (int64_t b = begin; b < end; ++b) {
      if (ring.position[b] < 0) continue;
      const int64_t slot = ring.position[b] % ring.slots;
      std::memcpy(ring.k + ring.bytes(b, slot), k_from + static_cast<size_t>(b) * bytes, bytes);
      std::memcpy(ring.v + ring.bytes(b, slot), v_from + static_cast<size_t>(b) * bytes, bytes);
    }
  });
}

}  // namespace

const RingKernels ring_cpu{attend, store};

}  // namespace ingrain::ops
