// In place of cuda.cpp where CUDA is not linked: nothing is captured there.
#include "ops/graph/graph.h"

namespace ingrain::ops {

std::unique_ptr<GraphExec> make_cuda_graph_exec(c10::Device) { return nullptr; }

}  // namespace ingrain::ops
