#include "eval/verify.h"

#include "base/error.h"
#include "base/interrupt.h"
#include "ops/backend.h"

#include <cmath>
#include <cstdio>
#include <optional>

namespace ingrain::eval {
namespace {

namespace fs = std::filesystem;

void print(const Comparison& c) {
  std::printf("  %-4s %-84s abs %.2e  rel %.2e  tolerance %.0e %s\n", c.ok ? "ok" : "FAIL", c.name.c_str(),
              c.worst_absolute, c.worst_relative, c.tolerance, c.relative ? "of the largest element" : "absolute");
}

double tolerance_of(Quantity kind, at::ScalarType compute) {
  const bool half = compute == at::kBFloat16;
  switch (kind) {
    case Quantity::loss: return half ? 1e-2 : 1e-5;
    // Of the largest score. In bf16 the reference rounds the scores themselves, to multiples of 1/32 between 4 and 8.
    case Quantity::nll: return half ? 1e-2 : 1e-5;
    case Quantity::other: break;
  }
  return half ? 2e-2 : 1e-4;
}

}  // namespace

Comparison compare(const std::string& name, const Tensor& actual, const Tensor& expected, Quantity kind,
                   at::ScalarType compute) {
  Comparison out{name, 0, 0, tolerance_of(kind, compute), kind != Quantity::loss, false};
  if (!actual.defined() || actual.sizes() != expected.sizes()) {
    out.worst_absolute = out.worst_relative = std::nan("");
    return out;
  }
  const Tensor a = actual.to(at::kCPU, at::kDouble), e = expected.to(at::kCPU, at::kDouble);
  const double largest = e.numel() ? e.abs().max().item<double>() : 0;
  out.worst_absolute = e.numel() ? (a - e).abs().max().item<double>() : 0;
  out.worst_relative = out.worst_absolute / std::max(largest, 1e-30);
  out.ok = (out.relative ? out.worst_relative : out.worst_absolute) <= out.tolerance;  // false for NaN
  return out;
}

void stop_verifying() { stop_if_interrupted("stopped; of what was not compared by now, nothing is known"); }

bool verify(const std::vector<std::string>& folders, const VerifyOptions& options) {
  std::optional<ops::ReferenceScope> scope;
  if (options.reference_ops) scope.emplace();
  size_t total = 0, failed = 0;
  for (const std::string& name : folders) {
    stop_verifying();
    const fs::path folder(name);
    const bool trained = fs::exists(folder / "model.json"), golden = fs::exists(folder / "inputs.safetensors");
    if (!trained && !golden) {
      if (!fs::is_directory(folder)) {  // a glob also catches files beside the cases
        require(fs::exists(folder), "{}: no such folder", name);
        std::printf("%s: not a case, passed over\n", name.c_str());
        continue;
      }
      fail("{}: neither a golden case (inputs.safetensors) nor a trained model (model.json)", name);
    }
    std::printf("%s\n", name.c_str());
    std::fflush(stdout);
    for (const Comparison& c : trained ? verify_trained(folder, options) : verify_golden(folder, options)) {
      print(c);
      ++total;
      failed += c.ok ? 0 : 1;
    }
  }
  std::printf("%zu quantities compared, %zu failed\n", total, failed);
  return total > 0 && failed == 0;
}

}  // namespace ingrain::eval
