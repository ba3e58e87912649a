// A row of `ingrain bench ops`: one pass of an operation at one shape and in one type, and who computes it.
#pragma once

#include "ops/backend.h"

#include <fmt/format.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ingrain::bench {

/// The sizes of a pass over a model, in the letters of docs/mathematics.md.
struct OpsShape {
  enum class Pass { token, chunk, prefix };  // writing; a chunk of the suffix, with duals; a long pass of the prefix
  const char* name;
  Pass pass;
  int64_t T, past, D, H, G, d, F, V, window, S;
  bool on_cpu, on_gpu;  // where it is measured unless all are asked for
};

/// What a pass must do at least: a multiply-add counts as two; bytes are read or written once. 0: not counted.
struct OpsWork {
  double flops = 0, bytes = 0;
};

using Run = std::function<void()>;

/// The same work on the same inputs, which live as long as these do.
struct Contenders {
  Run ours;
  Run reference = {}, libtorch = {};  // empty: there is none, or it would take too much memory
};

/// Random inputs of a row, on its device.
struct OpsInputs {
  at::ScalarType type;
  at::Device device;

  at::TensorOptions options() const { return at::TensorOptions().dtype(type).device(device); }
  Tensor random(at::IntArrayRef sizes) const {
    return at::randn(sizes, options().dtype(at::kFloat)).mul_(0.5).to(type);
  }
  Tensor random_fp32(at::IntArrayRef sizes) const { return at::randn(sizes, options().dtype(at::kFloat)).mul_(0.02); }
  Tensor ones(int64_t size) const { return at::ones({size}, options().dtype(at::kFloat)); }
};

struct OpsRow {
  std::string name;  // "rms_norm/125m/fp32/dual_forward/1024x768"; unique; what --filter looks at
  OpsInputs inputs;
  OpsWork work;
  std::function<Contenders(const OpsInputs&)> make;  // the inputs are made by this call, not before
};

/// The rows of one shape, type and device, as they are added.
struct OpsRows {
  const OpsShape& shape;
  OpsInputs inputs;
  std::vector<OpsRow>& rows;

  /// pass: "forward", "backward"; "dual_" goes before it where P = 2.
  void add(std::string_view operation, int64_t P, std::string_view pass, const std::string& sizes, OpsWork work,
           std::function<Contenders(const OpsInputs&)> make) const;
  /// Bytes of so many numbers of the rows' type.
  double bytes(int64_t numbers) const {
    return static_cast<double>(numbers) * static_cast<double>(c10::elementSize(inputs.type));
  }
  bool on_cpu() const { return inputs.device.is_cpu(); }
  bool is(OpsShape::Pass pass) const { return shape.pass == pass; }
  /// A chunk is passed with tangents, too.
  std::vector<int64_t> planes() const {
    return is(OpsShape::Pass::chunk) ? std::vector<int64_t>{1, 2} : std::vector<int64_t>{1};
  }
};

/// Adds an operation's rows: NAME_rows in src/ops/NAME/bench.cpp.
using AddRows = void(const OpsRows& to);
/// Of every operation that has some, in the order of their names (cmake/operations.cmake).
extern const std::vector<AddRows*> kOperationsRows;

/// The device's kernels and the reference's, called the same way.
template <class Kernels, class Call>
Contenders of_kernels(const Tensor& x, const Kernels& reference, const Kernels& cpu, const Kernels& cuda, Call call) {
  return {[call, &ours = ops::select(x, reference, cpu, cuda)] { call(ours); },
          [call, &reference] { call(reference); }};
}

/// The same call while every operation runs its reference formulas.
inline Run by_reference(Run run) {
  return [run = std::move(run)] {
    const ops::ReferenceScope scope;
    run();
  };
}

/// The backward pass of y with respect to `inputs`, without the forward pass: y's graph is kept.
Run backward_of(const Tensor& y, const Tensor& gy, std::vector<Tensor> inputs);

}  // namespace ingrain::bench
