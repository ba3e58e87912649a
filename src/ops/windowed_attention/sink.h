// A key beside the window's: joins an attention that was computed without it, and takes its part of the gradient.
#pragma once

#include "ops/windowed_attention/windowed_attention.h"

namespace ingrain::ops {

/// Where attention over a window's keys becomes that over them and the sink: o and stats of the one softmax.
/// past: how many keys stand before the T queries, as far as their window goes.
AttentionKernels::Output with_sink(const AttentionKernels::Output& window_only, const Sink& sink, int64_t past,
                                   int64_t window);

struct SinkGradients {
  Tensor s_PBTH, v_Gd;
};
/// Of its scores and value. o: that of both, from with_sink(). The other keys' gradients are those that attention gives
/// for this o and these stats.
SinkGradients sink_gradients(const Tensor& go_PBTHd, const AttentionKernels::Output& o, const Sink& sink, int64_t past,
                             int64_t window);

}  // namespace ingrain::ops
