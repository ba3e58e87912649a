// A tokenizer from hostile hands and a text: an Error, or ids that decode to text. Of the input, what stands before the
// first zero byte is a tokenizer.json, the rest the text; an input that begins as GGUF files do is one, and its own
// text.
#include "base/error.h"
#include "formats/gguf.h"
#include "tokenizer/charsmap.h"
#include "tokenizer/gguf_tokenizer.h"
#include "tokenizer/tokenizer.h"

#include <cstdlib>
#include <cstring>

namespace {

using namespace ingrain;

void check_tokenizer(const tokenizer::Tokenizer& tokenizer, std::string_view text) {
  for (const bool parse : {false, true}) {
    const tokenizer::EncodeOptions options{.add_special_tokens = true, .parse_special = parse};
    const auto ids = tokenizer.encode(text, options);
    tokenizer::StreamDecoder stream(tokenizer);
    std::string streamed;
    for (const int32_t id : ids) streamed += stream.push(id);
    streamed += stream.finish();
    if (streamed != tokenizer.decode(ids)) std::abort();
    const auto places = tokenizer.encode_with_places(text, options);
    if (places.size() != ids.size()) std::abort();
    for (size_t i = 0; i < ids.size(); ++i)
      if (places[i].id != ids[i] || places[i].begin > places[i].end || places[i].end > text.size()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(input.find('\0'), size);
  // Patterns that backtrack end by PCRE2's limit; short texts keep that quick.
  const std::string_view text = input.substr(end).substr(0, 64);
  try {
    const tokenizer::Charsmap table(input, "fuzz");
    table.apply(tokenizer::TrackedText("a\u00A0\uFB01 e\u0301 \u2460", true, 0));
  } catch (const Error&) {}
  try {
    if (input.starts_with("GGUF")) {
      const formats::Gguf file(input, "fuzz.gguf");
      check_tokenizer(tokenizer::gguf_tokenizer(file), "the end \xE2\x96\x81  <s>\n\xFF 1");
      const auto [json, config] = tokenizer::gguf_tokenizer_files(file);
      tokenizer::Tokenizer::from_json(json, {config}, "fuzz.json");
    } else {
      check_tokenizer(tokenizer::Tokenizer::from_json(input.substr(0, end), {}, "fuzz.json"), text);
    }
  } catch (const Error&) {}
  return 0;
}
