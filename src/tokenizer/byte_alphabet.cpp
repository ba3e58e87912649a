#include "tokenizer/byte_alphabet.h"

#include <array>

#include "base/utf8.h"

namespace ingrain::tokenizer {
namespace {

bool stands_for_itself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct ByteAlphabet {
  std::array<char32_t, 256> character_of;
  std::array<int16_t, 512> byte_of;  // -1: not in the alphabet

  ByteAlphabet() {
    byte_of.fill(-1);
    char32_t next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      character_of[byte] = stands_for_itself(byte) ? static_cast<char32_t>(byte) : next++;
      byte_of[character_of[byte]] = static_cast<int16_t>(byte);
    }
  }
};

const ByteAlphabet& alphabet() {
  static const ByteAlphabet instance;
  return instance;
}

}  // namespace

std::string write_bytes(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) utf8_append(out, alphabet().character_of[static_cast<uint8_t>(byte)]);
  return out;
}

std::optional<std::string> read_bytes(std::string_view written) {
  std::string out;
  for (size_t i = 0; i < written.size();) {
    const Utf8Step step = utf8_step(written, i);
    if (step.kind != Utf8::valid) return std::nullopt;
    const char32_t c = utf8_decode(written, i);
    if (c >= alphabet().byte_of.size() || alphabet().byte_of[c] < 0) return std::nullopt;
    out += static_cast<char>(alphabet().byte_of[c]);
    i += step.length;
  }
  return out;
}

}  // namespace ingrain::tokenizer
