// Whether this build runs under AddressSanitizer, several times slower: what a test finds at a size that takes seconds
// as it is, the sanitizers find at a smaller one.
#pragma once

namespace ingrain::test {

#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace ingrain::test
