#include "ops/backend.h"

#include <atomic>

namespace ingrain::ops {
namespace {

std::atomic<int> g_reference_scopes{0};

}  // namespace

Backend backend_for(const Tensor& x) {
  if (g_reference_scopes.load(std::memory_order_relaxed) > 0) return Backend::reference;
  const at::ScalarType type = x.scalar_type();
  if (type != at::kFloat && type != at::kBFloat16) return Backend::reference;
  if (x.is_cpu()) return Backend::cpu;
  return x.is_cuda() ? Backend::cuda : Backend::reference;
}

ReferenceScope::ReferenceScope() { ++g_reference_scopes; }
ReferenceScope::~ReferenceScope() { --g_reference_scopes; }

}  // namespace ingrain::ops
