// A schema from a client, and texts. Of the input, what stands before the first zero byte is the schema, then a text.
// The schema is refused, or bounded; the text is taken the same by bytes and by tokens that the mask allows; a walk
// along the mask never comes to a dead end, and what it writes is JSON. The same text is read as an answer with calls.
#include "base/error.h"
#include "serve/grammar/json_schema.h"
#include "serve/grammar/tool_calls.h"
#include "serve/grammar/walk.h"
#include "tokenizer/byte_alphabet.h"

#include <bit>
#include <cstdlib>

namespace {

using namespace ingrain;
using namespace ingrain::serve;

/// All bytes, and some tokens of several.
std::shared_ptr<const TokenTrie> trie() {
  tokenizer::TokenizerSpec spec;
  spec.source = "fuzz";
  for (int byte = 0; byte < 256; ++byte)
    spec.tokens.push_back(tokenizer::write_bytes(std::string(1, static_cast<char>(byte))));
  for (const char* token :
       {"\": ", "\", \"", "{\"", "\"}", "}}", "]]", "[[", "ab", "\\u", "00", "\xF0\x9F", "true", ", ", "\n  "})
    spec.tokens.push_back(tokenizer::write_bytes(token));
  return std::make_shared<TokenTrie>(tokenizer::Tokenizer(spec));
}

void check_text(const Constraint& constraint, const TokenTrie& tokens, std::string_view text) {
  std::vector<uint64_t> bits((tokens.vocab_size() + 63) / 64);
  const auto walk = constraint.clone();
  for (const char byte : text.substr(0, 64)) {
    const auto by_bytes = walk->clone();
    const bool may = dynamic_cast<GrammarWalk&>(*by_bytes).accept_bytes(std::string_view(&byte, 1));
    walk->allow(bits);
    if (has_bit(bits, static_cast<uint8_t>(byte)) != may) std::abort();
    if (!may) return;
    walk->accept(static_cast<uint8_t>(byte));
  }
}

void check_walk(const Constraint& constraint, const TokenTrie& tokens, std::string_view choices) {
  std::vector<uint64_t> bits((tokens.vocab_size() + 63) / 64);
  const auto walk = constraint.clone();
  std::string text;
  for (const char choice : choices.substr(0, 64)) {
    if (walk->complete()) break;
    walk->allow(bits);
    int count = 0;
    for (const uint64_t word : bits) count += std::popcount(word);
    if (count == 0 && !walk->may_end()) std::abort();
    if (count == 0) break;
    int nth = static_cast<uint8_t>(choice) % count;
    int32_t id = 0;
    while (!has_bit(bits, id) || nth-- > 0) ++id;
    walk->accept(id);
    text += tokens.bytes(id);
  }
  if (walk->may_end() && !nlohmann::json::accept(text)) std::abort();
}

void check_answer(std::string_view text) {
  for (const int variant : {0, 1, 2, 3}) {
    const ToolFormat format = variant % 2 == 0 ? ToolFormat::tagged : ToolFormat::llama3;
    const AnswerReader::Options options{.tools = format, .names = {"f"}, .thoughts = true, .certain = variant > 1};
    AnswerReader whole(options), apart(options);
    std::vector<AnswerPart> one = whole.push(text), two;
    for (const AnswerPart& part : whole.finish()) one.push_back(part);
    const auto add = [&](const std::vector<AnswerPart>& parts) { two.insert(two.end(), parts.begin(), parts.end()); };
    for (const char byte : text) add(apart.push(std::string_view(&byte, 1)));
    add(apart.finish());
    const auto joined = [](const std::vector<AnswerPart>& parts) {
      std::string out;
      for (const AnswerPart& part : parts) out += part.text;
      return out;
    };
    if (joined(one) != joined(two)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::shared_ptr<const TokenTrie> tokens = trie();
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(input.find('\0'), size);
  const std::string_view text = input.substr(std::min(end + 1, size));
  check_answer(text);
  const auto schema = nlohmann::ordered_json::parse(input.substr(0, end), nullptr, false);
  if (schema.is_discarded()) return 0;
  try {
    const auto constraint = json_constraint(schema, tokens);
    check_text(*constraint, *tokens, text);
    check_walk(*constraint, *tokens, text);
  } catch (const UsageError&) {}
  return 0;
}
