#include "base/codebooks.h"

namespace ingrain {
namespace {

#include "base/codebooks.inc"

/// kBits bits an element say which of the values it is.
template <size_t kElements, int kBits, size_t kEntries, size_t kValues>
constexpr Codebook<kEntries, kElements> expanded(const uint16_t (&numbers)[kEntries], const int8_t (&values)[kValues]) {
  Codebook<kEntries, kElements> out{};
  for (size_t entry = 0; entry < kEntries; ++entry)
    for (size_t i = 0; i < kElements; ++i) out[entry][i] = values[numbers[entry] >> (kBits * i) & ((1u << kBits) - 1)];
  return out;
}

}  // namespace

constexpr Codebook<256, 8> kIq2xxs = expanded<8, 2>(kNumbersOfIq2xxs, kValuesOfIq2xxs);
constexpr Codebook<512, 8> kIq2xs = expanded<8, 2>(kNumbersOfIq2xs, kValuesOfIq2xs);
constexpr Codebook<1024, 8> kIq2s = expanded<8, 2>(kNumbersOfIq2s, kValuesOfIq2s);
constexpr Codebook<256, 4> kIq3xxs = expanded<4, 3>(kNumbersOfIq3xxs, kValuesOfIq3xxs);
constexpr Codebook<512, 4> kIq3s = expanded<4, 3>(kNumbersOfIq3s, kValuesOfIq3s);
constexpr Codebook<2048, 8> kIq1s = expanded<8, 2>(kNumbersOfIq1s, kValuesOfIq1s);

}  // namespace ingrain
