// TOKENIZER: a tokenizer.json, its folder, or a GGUF file.
// Encodes and decodes for the comparisons in tests/python and bench/compare.
//   tokenizer_probe encode TOKENIZER [special] [tiktoken NAME]
//       texts from standard input, each after its length (uint32, little-endian); for each, the number of ids and the
//       ids (int32) on standard output. "special" adds the template, "plain" reads special tokens as text.
//   tokenizer_probe places TOKENIZER   the same, with (id, begin, end) in place of the ids
//   tokenizer_probe decode TOKENIZER   ids in the same form; the bytes, each after their length
//   tokenizer_probe text TOKENIZER     likewise the decoded text
//   tokenizer_probe time TOKENIZER FILE   encodes FILE until a second is over; prints "TOKENS SECONDS"
#include <chrono>
#include <cstdio>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "formats/gguf.h"
#include "tokenizer/gguf_tokenizer.h"
#include "tokenizer/tokenizer.h"

namespace ingrain::data {
namespace {

template <class T>
std::optional<std::vector<T>> read_record() {
  uint32_t count = 0;
  if (std::fread(&count, sizeof count, 1, stdin) != 1) return std::nullopt;
  std::vector<T> out(count);
  require(std::fread(out.data(), sizeof(T), count, stdin) == count, "standard input ends inside a record");
  return out;
}

template <class T>
void write_record(const T* data, size_t count) {
  const auto size = static_cast<uint32_t>(count);
  require(std::fwrite(&size, sizeof size, 1, stdout) == 1 && std::fwrite(data, sizeof(T), count, stdout) == count,
          "standard output: cannot write");
}

void time(const tokenizer::Tokenizer& tokenizer, const std::string& file) {
  using Clock = std::chrono::steady_clock;
  const std::string text = read_file(file, 1u << 30);
  const auto start = Clock::now();
  size_t tokens = 0;
  std::chrono::duration<double> seconds{};
  do {
    tokens += tokenizer.encode(text).size();
    seconds = Clock::now() - start;
  } while (seconds.count() < 1);
  std::printf("%zu %.6f\n", tokens, seconds.count());
}

void run(const std::vector<std::string>& args) {
  if (args.size() < 2) fail_usage("tokenizer_probe: see the head of tests/tools/tokenizer_probe.cpp for its commands");
  const bool ranks = args.size() >= 4 && args[args.size() - 2] == "tiktoken";
  const tokenizer::Tokenizer tokenizer = ranks ? tokenizer::Tokenizer::load_tiktoken(args[1], args.back())
                                         : formats::is_gguf(args[1]) ? tokenizer::gguf_tokenizer(formats::Gguf(args[1]))
                                                                     : tokenizer::Tokenizer::load(args[1]);
  if (args[0] == "encode") {
    const tokenizer::EncodeOptions options{.add_special_tokens = args.size() > 2 && args[2] == "special",
                                           .parse_special = args.size() < 3 || args[2] != "plain"};
    while (const auto text = read_record<char>()) {
      const auto ids = tokenizer.encode({text->data(), text->size()}, options);
      write_record(ids.data(), ids.size());
    }
  } else if (args[0] == "places") {
    while (const auto text = read_record<char>()) {
      std::vector<int32_t> out;
      for (const auto& place : tokenizer.encode_with_places({text->data(), text->size()}))
        out.insert(out.end(), {place.id, static_cast<int32_t>(place.begin), static_cast<int32_t>(place.end)});
      write_record(out.data(), out.size());
    }
  } else if (args[0] == "text") {
    while (const auto ids = read_record<int32_t>()) {
      const std::string text = tokenizer.decode(*ids);
      write_record(text.data(), text.size());
    }
  } else if (args[0] == "decode") {
    while (const auto ids = read_record<int32_t>()) {
      const std::string bytes = tokenizer.decode_bytes(*ids);
      write_record(bytes.data(), bytes.size());
    }
  } else if (args[0] == "time" && args.size() > 2) {
    time(tokenizer, args[2]);
  } else {
    fail_usage("tokenizer_probe: unknown command '{}'", args[0]);
  }
}

}  // namespace
}  // namespace ingrain::data

int main(int argc, char** argv) {
  try {
    ingrain::data::run({argv + 1, argv + argc});
    return 0;
  } catch (const ingrain::UsageError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  } catch (const ingrain::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
