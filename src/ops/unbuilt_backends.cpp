// Kernel tables of backends that this build lacks: their operations' reference formulas, which run anywhere.
#include "ops/qkv_rope/qkv_rope.h"
#include "ops/gemv/gemv.h"
#include "ops/linear_cross_entropy/linear_cross_entropy.h"
#include "ops/graph/graph.h"
#include "ops/ring_attention/ring_attention.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/sgd/sgd.h"
#include "ops/swiglu/swiglu.h"
#include "ops/windowed_attention/windowed_attention.h"

namespace ingrain::ops {

const RmsNormKernels rms_norm_cuda = rms_norm_reference;
const SgdKernels sgd_cuda = sgd_reference;
const SwigluKernels swiglu_cuda = swiglu_reference;
const QkvRopeKernels qkv_rope_cuda = qkv_rope_reference;
const AttentionKernels attention_cuda = attention_reference;
const GemvKernels gemv_cuda = gemv_reference;
const RingKernels ring_cuda = ring_reference;
const CrossEntropyKernels cross_entropy_cuda = cross_entropy_reference;

std::unique_ptr<GraphExec> make_cuda_graph_exec(at::Device) { return nullptr; }

}  // namespace ingrain::ops
