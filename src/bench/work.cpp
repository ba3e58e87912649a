#include "bench/work.h"

#include <algorithm>

namespace ingrain::bench {
namespace {

double real(int64_t x) { return static_cast<double>(x); }

/// Multiply-adds of one token's products with weights.
struct Products {
  double projections, mlp, fast, fast_w2, head;
  explicit Products(const ModelConfig& c)
      : projections(real(c.hidden_size * c.head_dim * 2 * (c.num_heads + c.num_kv_heads))),
        mlp(real(3 * c.hidden_size * c.mlp_size)),
        fast(real(3 * c.hidden_size * c.fast_mlp_size)),
        fast_w2(real(c.hidden_size * c.fast_mlp_size)),
        head(real(c.vocab_size * c.hidden_size)) {}
};

/// One block's.
AttentionWork attention(const ModelConfig& c, int64_t first, int64_t count, int64_t begin_of_chunk) {
  return attention_work(c.num_heads * c.head_dim, c.window, first, count, begin_of_chunk);
}

/// The suffix but for its first attention step, S blocks: `step` per fast MLP, MLP and projection, and attention's own.
Work suffix_backward(const ModelConfig& c, int64_t first) {
  const Products p(c);
  const double b = real(c.chunk), S = real(c.suffix_len);
  // Gradients of activations everywhere above the first fast MLP's input; of weights for fast MLPs alone.
  const double fast = S * 2 * p.fast - (p.fast - p.fast_w2);
  const double linear = fast + S * p.mlp + (S - 1) * p.projections;
  return {0, b * linear + (S - 1) * attention(c, first, c.chunk, first).backward(/*of_all_keys=*/false), b * p.head};
}

Work& operator+=(Work& a, const Work& b) {
  a.prefix += b.prefix;
  a.suffix += b.suffix;
  a.head += b.head;
  return a;
}

}  // namespace

double visible_pairs(int64_t first, int64_t count, int64_t window) {
  // Positions below `window` see position + 1 keys, the others `window`.
  const int64_t end = first + count, rising_end = std::clamp(window, first, end);
  const double rising = 0.5 * (real(rising_end) * real(rising_end + 1) - real(first) * real(first + 1));
  return rising + (end > rising_end ? real(end - rising_end) * real(window) : 0);
}

AttentionWork attention_work(int64_t width, int64_t window, int64_t first, int64_t count, int64_t own) {
  return {real(width) * visible_pairs(first, count, window), real(width) * visible_pairs(first - own, count, window)};
}

Work forward_work(const ModelConfig& c, int64_t first, int64_t count) {
  const Products p(c);
  const double n = real(count), P = real(c.prefix_len()), S = real(c.suffix_len), step = S > 0 ? 1 : 0;
  const double seen = attention(c, first, count, 0).forward();
  Work out;
  out.prefix = P * n * (p.projections + p.mlp) + step * n * p.projections + (P + step) * seen;
  out.suffix = S * n * (p.fast + p.mlp) + (S - step) * (n * p.projections + seen);
  out.head = n * p.head;
  return out;
}

Work reading_work(const ModelConfig& c, int64_t first, int64_t count) {
  Work out = forward_work(c, first, count);
  if (c.suffix_len == 0) return out;
  for (int64_t end = (first / c.chunk + 1) * c.chunk; end <= first + count; end += c.chunk)
    out += suffix_backward(c, end - c.chunk);
  return out;
}

Work standard_step_work(const ModelConfig& c, int64_t T) {
  Work out = forward_work(c, 0, T);
  const AttentionWork seen = attention(c, 0, T, 0);
  const double step = c.suffix_len > 0 ? 1 : 0, more = seen.backward(true) - 2 * seen.forward();
  out.prefix = 3 * out.prefix + (real(c.prefix_len()) + step) * more;
  out.suffix = 3 * out.suffix + (real(c.suffix_len) - step) * more;
  out.head *= 3;
  return out;
}

Work meta_step_work(const ModelConfig& c, int64_t T) {
  Work out;
  out.prefix = standard_step_work(c, T).prefix;
  const Products p(c);
  const double b = real(c.chunk), S = real(c.suffix_len);
  const double linear = b * (S * (p.fast + p.mlp) + (S - 1) * p.projections);
  for (int64_t first = 0; first < T; first += c.chunk) {
    const AttentionWork seen = attention(c, first, c.chunk, first);
    if (first + c.chunk == T) {  // the last chunk makes no step and needs no tangent
      out += {0, 3 * linear + (S - 1) * (seen.forward() + seen.backward(true)), 3 * b * p.head};
      continue;
    }
    Work sweep = forward_work(c, first, c.chunk);
    sweep.prefix = 0;
    out += sweep;
    out += suffix_backward(c, first);
    // Both planes forward, and the gradients of both planes' activations and of the weights. Fast MLPs have x dw and
    // gdy dw besides, and the first one's input has no tangent: three products of its w13 fall away.
    const double tangents = b * (2 * S * p.fast - 3 * (p.fast - p.fast_w2));
    out += {0, 6 * linear + tangents + (S - 1) * (seen.dual_forward() + seen.dual_backward(true)), 6 * b * p.head};
  }
  return out;
}

double decoding_bytes(const Network& model, int64_t position) {
  const ModelConfig& c = model.config;
  const auto size = [](const Tensor& x) { return static_cast<double>(x.nbytes()); };
  Weights w = model.weights_for(1);
  const Tensor embedding = w.embedding_VD, head = w.head();
  double bytes = size(head);
  visit_parameters(c, w, [&](const std::string&, const Tensor& x, ParameterKind kind) {
    if (kind == ParameterKind::fast)
      bytes += real(x.numel()) * static_cast<double>(embedding.element_size());
    else if (kind != ParameterKind::embedding && !x.is_same(head))
      bytes += size(x);
  });
  const double keys = real(std::min(position, c.window - 1)) * real(2 * c.num_kv_heads * c.head_dim * c.num_layers);
  return bytes + (real(c.hidden_size) + keys) * static_cast<double>(embedding.element_size());
}

}  // namespace ingrain::bench
