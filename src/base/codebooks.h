// The codebooks of GGUF's IQ types, expanded: an entry is what its elements are multiplied by a block's scale with.
// Tables: codebooks.inc, made by scripts/codebooks.py.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace ingrain {

template <size_t kEntries, size_t kElements>
using Codebook = std::array<std::array<int8_t, kElements>, kEntries>;

extern const Codebook<256, 8> kIq2xxs;
extern const Codebook<512, 8> kIq2xs;
extern const Codebook<1024, 8> kIq2s;
extern const Codebook<256, 4> kIq3xxs;
extern const Codebook<512, 4> kIq3s;
extern const Codebook<2048, 8> kIq1s;  // -1, 0, 1

/// The 16 values of IQ4_NL and IQ4_XS.
inline constexpr int8_t kNonLinear[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
/// The 16 values of MXFP4, doubled.
inline constexpr int8_t kFp4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

}  // namespace ingrain
