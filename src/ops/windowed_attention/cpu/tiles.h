// How windowed attention on the CPU cuts its work: tiles of queries against blocks of keys.
#pragma once

#include "ops/windowed_attention/call.h"
#include "ops/windowed_attention/cpu/limits.h"
#include "ops/windowed_attention/windowed_attention.h"

#include <algorithm>

namespace ingrain::ops {

constexpr int64_t kTileRows = 96;  // rows of a query tile, both planes together: a multiple of the product's 6
constexpr int64_t kTileKeys = 96;  // keys of a block: also a multiple of two vectors of 16

/// How a tile's products are cut: queries whose scores meet a block together, and the multiple in which they take its
/// keys.
struct Strip {
  int64_t queries, keys;
};
constexpr Strip kVectorStrip{24, 16};  // scores stay in the first-level cache; whole vectors
constexpr Strip kAmxStrip{48, 32};     // whole tile registers: three of queries, of keys the depth of a product
constexpr int64_t kStripScores = std::max(kVectorStrip.queries, kAmxStrip.queries) * kTileKeys;
constexpr int64_t kForwardScores = 3 * kStripScores;  // s and ds, and both once more in bf16

/// A call, and how it is cut.
struct TiledCall : AttentionCall {
  int64_t groups() const { return q_heads / kv_heads; }
  int64_t keys() const { return past + tokens; }
  int64_t padded() const { return padded_row(head_dim); }

  int64_t tile_queries() const { return kTileRows / planes; }
  int64_t tiles() const { return (tokens + tile_queries() - 1) / tile_queries(); }
  int64_t queries_of(int64_t tile) const { return std::min(tile_queries(), tokens - tile * tile_queries()); }
  int64_t tile_floats() const { return kTileRows * padded(); }
  /// The tiles of all heads that share a key, numbered group * tiles + tile: the items that a task is made of.
  int64_t items() const { return groups() * tiles(); }

  int64_t blocks() const { return (keys() + kTileKeys - 1) / kTileKeys; }
  int64_t keys_of(int64_t block) const { return std::min(kTileKeys, keys() - block * kTileKeys); }
  /// Whether any key of the block has a tangent: those of the past have none.
  bool has_tangent(int64_t block) const { return planes == 2 && block * kTileKeys + keys_of(block) > past; }

  /// Room for one block of k or v, both planes, as rows [kTileKeys][padded] or transposed [padded][kTileKeys].
  int64_t block_floats() const { return planes * kTileKeys * padded(); }

  /// The keys that a query sees: [first, last].
  int64_t first_key(int64_t query) const { return std::max<int64_t>(0, past + query - window + 1); }
  int64_t last_key(int64_t query) const { return past + query; }
};

/// What the backward's tiles share; heads are numbered batch * q_heads + head.
struct BackwardOperands {
  TiledCall call;
  const float *lse, *r;      // the forward's statistics, [batch, q_heads, tokens]
  float *sum, *tangent_sum;  // <go, o> + <gdo, do> and <gdo, o>, like them
  float *q, *go, *gq;        // by tiles: room for [batch, q_heads, tile][kTileRows][padded] of fp32; gq starts at zero
};

}  // namespace ingrain::ops
