// A tokenizer.json and a text from hostile hands: an Error, or ids that decode to text. Of the input, what stands
// before the first zero byte is the JSON, the rest the text.
#include "base/error.h"
#include "tokenizer/tokenizer.h"

#include <cstdlib>
#include <cstring>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingrain;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(input.find('\0'), size);
  // Patterns that backtrack end by PCRE2's limit; short texts keep that quick.
  const std::string_view text = input.substr(end).substr(0, 64);
  try {
    const auto tokenizer = tokenizer::Tokenizer::from_json(input.substr(0, end), {}, "fuzz.json");
    for (const bool parse : {false, true}) {
      const auto ids = tokenizer.encode(text, {.add_special_tokens = true, .parse_special = parse});
      tokenizer::StreamDecoder stream(tokenizer);
      std::string streamed;
      for (const int32_t id : ids) streamed += stream.push(id);
      streamed += stream.finish();
      if (streamed != tokenizer.decode(ids)) std::abort();
    }
  } catch (const Error&) {}
  return 0;
}
