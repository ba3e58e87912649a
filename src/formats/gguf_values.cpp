// Gguf::get and Gguf::need: a metadata value as the type the caller expects.
#include "base/error.h"
#include "formats/gguf.h"

#include <cstring>
#include <limits>

namespace ingrain::formats {
namespace {

using enum GgufValueType;

template <class Number>
Number load(std::string_view bytes, uint64_t index) {
  Number out;
  std::memcpy(&out, bytes.data() + index * sizeof(Number), sizeof(Number));
  return out;
}

/// Element `index` of an array of numbers or truth values, or nothing if it is of something else.
std::optional<GgufValue> element(const GgufArray& array, uint64_t index) {
  switch (array.element_type) {
    case U8: return static_cast<uint64_t>(load<uint8_t>(array.bytes, index));
    case I8: return static_cast<int64_t>(load<int8_t>(array.bytes, index));
    case U16: return static_cast<uint64_t>(load<uint16_t>(array.bytes, index));
    case I16: return static_cast<int64_t>(load<int16_t>(array.bytes, index));
    case U32: return static_cast<uint64_t>(load<uint32_t>(array.bytes, index));
    case I32: return static_cast<int64_t>(load<int32_t>(array.bytes, index));
    case F32: return static_cast<double>(load<float>(array.bytes, index));
    case Bool: return load<uint8_t>(array.bytes, index) != 0;
    case U64: return load<uint64_t>(array.bytes, index);
    case I64: return load<int64_t>(array.bytes, index);
    case F64: return load<double>(array.bytes, index);
    default: return std::nullopt;
  }
}

// convert(value, out): whether `value` is a T, which is then in `out`. Integers become each other where they
// fit.

bool convert(const GgufValue& value, uint64_t& out) {
  if (const auto* u = std::get_if<uint64_t>(&value)) return out = *u, true;
  const auto* i = std::get_if<int64_t>(&value);
  if (i && *i >= 0) return out = static_cast<uint64_t>(*i), true;
  return false;
}

bool convert(const GgufValue& value, int64_t& out) {
  if (const auto* i = std::get_if<int64_t>(&value)) return out = *i, true;
  const auto* u = std::get_if<uint64_t>(&value);
  if (u && *u <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
    return out = static_cast<int64_t>(*u), true;
  return false;
}

bool convert(const GgufValue& value, double& out) {
  if (const auto* d = std::get_if<double>(&value)) return out = *d, true;
  if (const auto* u = std::get_if<uint64_t>(&value)) return out = static_cast<double>(*u), true;
  if (const auto* i = std::get_if<int64_t>(&value)) return out = static_cast<double>(*i), true;
  return false;
}

bool convert(const GgufValue& value, bool& out) {
  const auto* b = std::get_if<bool>(&value);
  return b && (out = *b, true);
}

bool convert(const GgufValue& value, std::string_view& out) {
  const auto* s = std::get_if<std::string_view>(&value);
  return s && (out = *s, true);
}

bool convert(const GgufValue& value, std::vector<std::string_view>& out) {
  const auto* array = std::get_if<GgufArray>(&value);
  if (!array || array->element_type != String) return false;
  out.reserve(array->count);  // every string took at least eight bytes of the file
  std::string_view rest = array->bytes;
  for (uint64_t i = 0; i < array->count; ++i) {
    const auto length = load<uint64_t>(rest, 0);
    out.push_back(rest.substr(8, length));
    rest.remove_prefix(8 + length);
  }
  return true;
}

template <class Element>
bool convert(const GgufValue& value, std::vector<Element>& out) {
  const auto* array = std::get_if<GgufArray>(&value);
  if (!array) return false;
  for (uint64_t i = 0; i < array->count; ++i) {
    const auto item = element(*array, i);
    Element converted;
    if (!item || !convert(*item, converted)) return false;
    out.push_back(converted);
  }
  return true;
}

template <class T>
constexpr std::string_view kKind = "";
template <>
constexpr std::string_view kKind<uint64_t> = "a whole number that is not negative";
template <>
constexpr std::string_view kKind<int64_t> = "a whole number";
template <>
constexpr std::string_view kKind<double> = "a number";
template <>
constexpr std::string_view kKind<bool> = "true or false";
template <>
constexpr std::string_view kKind<std::string_view> = "a string";
template <>
constexpr std::string_view kKind<std::vector<std::string_view>> = "an array of strings";
template <>
constexpr std::string_view kKind<std::vector<int64_t>> = "an array of whole numbers";
template <>
constexpr std::string_view kKind<std::vector<double>> = "an array of numbers";
template <>
constexpr std::string_view kKind<std::vector<bool>> = "an array of true and false";

}  // namespace

template <class T>
std::optional<T> Gguf::get(std::string_view key) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end()) return std::nullopt;
  T out{};
  require(convert(found->second, out), "{}: metadata '{}' is not {}", name_, key, kKind<T>);
  return out;
}

template <class T>
T Gguf::need(std::string_view key) const {
  auto value = get<T>(key);
  require(value.has_value(), "{}: metadata '{}' is missing; it must be {}", name_, key, kKind<T>);
  return *std::move(value);
}

#define INGRAIN_INSTANTIATE(T)                                    \
  template std::optional<T> Gguf::get<T>(std::string_view) const; \
  template T Gguf::need<T>(std::string_view) const;
INGRAIN_INSTANTIATE(uint64_t)
INGRAIN_INSTANTIATE(int64_t)
INGRAIN_INSTANTIATE(double)
INGRAIN_INSTANTIATE(bool)
INGRAIN_INSTANTIATE(std::string_view)
INGRAIN_INSTANTIATE(std::vector<std::string_view>)
INGRAIN_INSTANTIATE(std::vector<int64_t>)
INGRAIN_INSTANTIATE(std::vector<double>)
INGRAIN_INSTANTIATE(std::vector<bool>)
#undef INGRAIN_INSTANTIATE

}  // namespace ingrain::formats
