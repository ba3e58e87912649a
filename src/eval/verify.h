// Proof against the reference implementation: every number that a case holds is computed here and compared.
#pragma once

#include "ops/dual.h"

#include <filesystem>
#include <string>
#include <vector>

namespace ingrain::eval {

struct VerifyOptions {
  std::string dtype = "auto";  // the case's own
  at::Device device = at::kCPU;
  bool reference_ops = false;
};

/// One compared quantity.
struct Comparison {
  std::string name;
  double worst_absolute, worst_relative, tolerance;
  bool relative;  // whether the tolerance is of the largest element, or absolute
  bool ok;
};

/// Runs the cases, prints a line a quantity and a summary to standard output. True if all hold.
/// Error if a folder is no case. Stopped, if a signal came (base/interrupt.h).
bool verify(const std::vector<std::string>& folders, const VerifyOptions& options);

/// Within a case: Stopped, if a signal came.
void stop_verifying();

/// A case made by the golden scripts (layout: golden/README.md).
std::vector<Comparison> verify_golden(const std::filesystem::path& folder, const VerifyOptions& options);

/// A trained model with its validation documents and expected scores (layout: reference-17m/README.md).
std::vector<Comparison> verify_trained(const std::filesystem::path& folder, const VerifyOptions& options);

/// Compares shapes and values, on whatever devices they are. `kind` decides the tolerance: losses absolutely,
/// everything else by the largest element.
enum class Quantity { loss, nll, other };
Comparison compare(const std::string& name, const Tensor& actual, const Tensor& expected, Quantity kind,
                   at::ScalarType compute);

}  // namespace ingrain::eval
