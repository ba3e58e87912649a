#include "bench/work.h"

#include "model/mixers/mixer.h"
#include "ops/quantized/quantized.h"

#include <algorithm>

namespace ingrain::bench {
namespace {

double real(int64_t x) { return static_cast<double>(x); }

/// Multiply-adds of one token's products with weights.
struct Products {
  double prefix_mlps = 0, suffix_mlps = 0, fast, fast_w2, head;
  explicit Products(const ModelConfig& c)
      : fast(real(3 * c.hidden_size * c.fast_mlp_size)),
        fast_w2(real(c.hidden_size * c.fast_mlp_size)),
        head(real(c.vocab_size * c.hidden_size)) {
    for (int64_t i = 0; i < c.num_layers; ++i)
      if (c.layer(i).mlp) (i < c.prefix_len() ? prefix_mlps : suffix_mlps) += real(3 * c.hidden_size * c.mlp_size);
  }
};

/// Of a layer's mixer.
double projections(const ModelConfig& c, int64_t layer) {
  double out = 0;
  for (const Parameter& p : mixer_of(c, layer).parameters())
    if (p.exists(c, layer) && p.kind == ParameterKind::matrix) out += real(number_count(p, c));
  return out;
}

/// A layer's tokens and those before them. What a recurrent mixer does to its state counts as much for a token,
/// wherever that stands.
AttentionWork meeting(const ModelConfig& c, int64_t layer, int64_t first, int64_t count, int64_t begin_of_chunk) {
  const LayerMixer& mixer = mixer_of(c, layer);
  if (!mixer.recurrent())
    return attention_work(c.num_heads * c.head_dim, c.layer(layer).window, first, count, begin_of_chunk);
  const double half = 0.5 * real(count) * mixer.state_work(c);
  return {half, half};
}

/// Of the mixers of layers first_layer, ...: a sum of `of(layer)`.
template <class Of>
double sum_of_mixers(const ModelConfig& c, int64_t first_layer, const Of& of) {
  double out = 0;
  for (int64_t i = first_layer; i < c.num_layers; ++i) out += of(i);
  return out;
}

/// The suffix but for its first mixer, S blocks: `step` per fast MLP, MLP and projection, and the mixers' own.
Work suffix_backward(const ModelConfig& c, int64_t first) {
  const Products p(c);
  const double b = real(c.chunk), S = real(c.suffix_len);
  // Gradients of activations everywhere above the first fast MLP's input; of weights for fast MLPs alone.
  const double fast = S * 2 * p.fast - (p.fast - p.fast_w2);
  const double mixers = sum_of_mixers(c, c.prefix_len() + 1, [&](int64_t i) {
    return b * projections(c, i) + meeting(c, i, first, c.chunk, first).backward(/*of_all_keys=*/false);
  });
  return {0, b * (fast + p.suffix_mlps) + mixers, b * p.head};
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
  const double n = real(count), S = real(c.suffix_len);
  const auto mixer = [&](int64_t i) { return n * projections(c, i) + meeting(c, i, first, count, 0).forward(); };
  const double of_suffix = sum_of_mixers(c, c.prefix_len() + 1, mixer);
  Work out;
  out.prefix = n * p.prefix_mlps + (sum_of_mixers(c, 0, mixer) - of_suffix);
  out.suffix = n * (S * p.fast + p.suffix_mlps) + of_suffix;
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
  const auto more = [&](int64_t i) {
    const AttentionWork seen = meeting(c, i, 0, T, 0);
    return seen.backward(true) - 2 * seen.forward();
  };
  const double of_suffix = sum_of_mixers(c, c.prefix_len() + 1, more);
  out.prefix = 3 * out.prefix + (sum_of_mixers(c, 0, more) - of_suffix);
  out.suffix = 3 * out.suffix + of_suffix;
  out.head *= 3;
  return out;
}

Work meta_step_work(const ModelConfig& c, int64_t T) {
  Work out;
  out.prefix = standard_step_work(c, T).prefix;
  const Products p(c);
  const double b = real(c.chunk), S = real(c.suffix_len);
  const int64_t next = c.prefix_len() + 1;
  const double linear =
      b * (S * p.fast + p.suffix_mlps + sum_of_mixers(c, next, [&](int64_t i) { return projections(c, i); }));
  for (int64_t first = 0; first < T; first += c.chunk) {
    const auto seen = [&](int64_t i) { return meeting(c, i, first, c.chunk, first); };
    if (first + c.chunk == T) {  // the last chunk makes no step and needs no tangent
      const double met = sum_of_mixers(c, next, [&](int64_t i) { return seen(i).forward() + seen(i).backward(true); });
      out += {0, 3 * linear + met, 3 * b * p.head};
      continue;
    }
    Work sweep = forward_work(c, first, c.chunk);
    sweep.prefix = 0;
    out += sweep;
    out += suffix_backward(c, first);
    // Both planes forward, and the gradients of both planes' activations and of the weights. Fast MLPs have x dw and
    // gdy dw besides, and the first one's input has no tangent: three products of its w13 fall away.
    const double tangents = b * (2 * S * p.fast - 3 * (p.fast - p.fast_w2));
    const double met =
        sum_of_mixers(c, next, [&](int64_t i) { return seen(i).dual_forward() + seen(i).dual_backward(true); });
    out += {0, 6 * linear + tangents + met, 6 * b * p.head};
  }
  return out;
}

double decoding_bytes(const Network& model, int64_t position) {
  const ModelConfig& c = model.config;
  const auto size = [](const Tensor& x) { return static_cast<double>(ops::bytes_in_memory(x)); };
  Weights w = model.weights;
  const Tensor embedding = w.embedding_VD, head = w.head();
  double bytes = size(head);
  visit_parameters(c, w, [&](const std::string&, const Tensor& x, ParameterKind kind) {
    if (kind == ParameterKind::fast)
      bytes += real(x.numel()) * static_cast<double>(embedding.element_size());
    else if (kind != ParameterKind::embedding && !x.is_same(head))
      bytes += size(x);
  });
  const double element = static_cast<double>(embedding.element_size());
  for (int64_t i = 0; i < c.num_layers; ++i) {
    if (!mixer_of(c, i).recurrent()) {
      bytes += element * real(std::min(position, c.layer(i).window - 1) * 2 * c.num_kv_heads * c.head_dim);
      continue;
    }
    for (const StatePart& part : mixer_of(c, i).state(c, i))
      bytes += real(c10::multiply_integers(part.shape)) *
               (part.wide ? static_cast<double>(c10::elementSize(master_type(embedding.scalar_type()))) : element);
  }
  return bytes + element * real(c.hidden_size);
}

}  // namespace ingrain::bench
