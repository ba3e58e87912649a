// What this processor can do, asked in one place, and how to make this process behave as on an older one.
#pragma once

#include <string_view>

namespace ingrain::ops {

/// The vector instructions of x86-64 that matter here; each level has all before it.
enum class Vectors { none, avx2, avx512, avx512_bf16, amx };

/// What the processor has, or less after limit_processor().
Vectors vectors();

/// For people: "AMX", "AVX-512 bf16", "AVX-512", "AVX2" or "other".
std::string_view name_of(Vectors vectors);

/// Whether it multiplies bf16 natively. Where it does not, libtorch's bf16 products are a hundred times slower than
/// fp32's.
inline bool has_native_bf16() { return vectors() >= Vectors::avx512_bf16; }

/// Whether it has tile registers for products of bf16, and the system lends them to this process.
inline bool has_amx() { return vectors() == Vectors::amx; }

/// Only for tests: whether the tile registers that are there are used, as hwy::SetSupportedTargetsForTest() for
/// vectors.
void use_amx_for_test(bool use);

/// Whether AMD made it: MKL keeps its best kernels for Intel's.
bool is_amd();

/// What INGRAIN_CPU=avx512_bf16, avx512, avx2 or scalar asks for: this process uses no instructions beyond those,
/// neither in our kernels nor in ATen's, MKL's and oneDNN's. No effect without the variable or where the processor has
/// no more anyway. The first thing a program does: those libraries look at the processor once, at their first
/// operation. UsageError for any other word.
void limit_processor();

}  // namespace ingrain::ops
