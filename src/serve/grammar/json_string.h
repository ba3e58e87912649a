// The inside of a JSON string, byte by byte: valid UTF-8, escapes, surrogates in pairs.
#pragma once

#include <cstdint>
#include <string_view>

namespace ingrain::serve {

/// Where one stands after the opening quote. A value.
struct JsonString {
  enum class Step : uint8_t { no, on, end };  // the byte cannot come; may come; is the closing quote

  /// What `byte` does. After `no` the state is not to be used. Every state that is reached can reach `end`.
  Step step(uint8_t byte);
  /// Neither within a character nor within an escape.
  bool between_characters() const { return phase == Phase::text; }

  enum class Phase : uint8_t { text, bytes, escape, hex, low_backslash, low_u, low_hex };
  Phase phase = Phase::text;
  uint8_t left = 0;            // bytes: continuation bytes to come; hex, low_hex: digits to come
  uint8_t low = 0, high = 0;   // bytes: what the next one may be
  uint32_t unit = 0;           // hex: value so far; low_*: high surrogate << 16 | value so far
  uint32_t characters = 0;     // whole ones, as JSON Schema counts (code points)
  uint64_t hash = kEmptyHash;  // of the text meant, whatever its spelling: hash_of() its UTF-8

  static constexpr uint64_t kEmptyHash = 0xcbf29ce484222325;
  static uint64_t hash_of(std::string_view text);

 private:
  Step text_byte(uint8_t byte);
  Step hex_digit(uint8_t byte);
  void add_character(uint32_t code_point);
};

}  // namespace ingrain::serve
