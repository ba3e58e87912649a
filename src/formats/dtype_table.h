// Names and sizes of the element types that safetensors and the project share.
#pragma once

#include "formats/safetensors.h"

#include <array>
#include <optional>

namespace ingrain::formats {

struct DTypeRow {
  DType dtype;
  std::string_view name;
  size_t bits;  // of one element
};

inline constexpr std::array<DTypeRow, 20> kDTypes{{
    {DType::F64, "F64", 64},        {DType::F32, "F32", 32},        {DType::F16, "F16", 16},
    {DType::BF16, "BF16", 16},      {DType::I64, "I64", 64},        {DType::I32, "I32", 32},
    {DType::I16, "I16", 16},        {DType::I8, "I8", 8},           {DType::U8, "U8", 8},
    {DType::U16, "U16", 16},        {DType::U32, "U32", 32},        {DType::U64, "U64", 64},
    {DType::BOOL, "BOOL", 8},       {DType::F8_E4M3, "F8_E4M3", 8}, {DType::F8_E5M2, "F8_E5M2", 8},
    {DType::F8_E8M0, "F8_E8M0", 8}, {DType::F6_E2M3, "F6_E2M3", 6}, {DType::F6_E3M2, "F6_E3M2", 6},
    {DType::F4, "F4", 4},           {DType::C64, "C64", 64},
}};

inline std::optional<DType> dtype_from_name(std::string_view name) {
  for (const DTypeRow& row : kDTypes) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

}  // namespace ingrain::formats
