#include "chat/control_tokens.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "jinja/lexer.h"

namespace ingrain::chat {
namespace {

// What the template may write: its text and its strings, apart from each other. Strings side by side are one.
std::string literals_of(std::string_view source) {
  std::string out;
  bool after_string = false;
  for (const jinja::Token& token : jinja::tokenize(source)) {
    const bool is_string = token.kind == jinja::TokenKind::String;
    if (is_string || token.kind == jinja::TokenKind::Data) {
      if (!(is_string && after_string)) out += '\0';
      out += token.text;
    }
    after_string = is_string;
  }
  return out;
}

bool is_all_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n\f\v") == text.npos; }

}  // namespace

std::vector<std::string> control_tokens(const tokenizer::Tokenizer& tokenizer, std::string_view source) {
  const auto& listed = tokenizer.chat_control_tokens();
  const std::string literals = listed ? "" : literals_of(source);
  const auto meant = [&](const std::string& content) {
    if (listed) return std::find(listed->begin(), listed->end(), content) != listed->end();
    return literals.find(content) != literals.npos && !is_all_blank(content);
  };
  std::vector<std::string> out;
  for (const tokenizer::AddedToken& token : tokenizer.added_tokens())
    if (token.special || meant(token.content)) out.push_back(token.content);
  return out;
}

// A tokenizer that puts a blank before a text would put one before every part; after a newline it has none to add.
std::vector<int32_t> encode_part(const tokenizer::Tokenizer& tokenizer, std::string_view part, bool literal,
                                 bool is_first) {
  const tokenizer::EncodeOptions options{.parse_added = !literal};
  const std::vector<int32_t> newline = tokenizer.encode("\n");
  std::vector<int32_t> out = tokenizer.encode(is_first ? std::string(part) : "\n" + std::string(part), options);
  if (!is_first) {
    const bool apart = out.size() >= newline.size() && std::equal(newline.begin(), newline.end(), out.begin());
    if (apart)
      out.erase(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(newline.size()));
    else
      out = tokenizer.encode(part, options);
  }
  const int32_t control = literal ? tokenizer.token_to_id(part).value_or(-1) : -1;
  require(
      control < 0 || std::find(out.begin(), out.end(), control) == out.end(),
      "the tokenizer makes the control token '{}' even of plain text, so that a message cannot say it; leave it out",
      printable(part));
  return out;
}

std::vector<int32_t> encode(const tokenizer::Tokenizer& tokenizer, const Rendering& rendering) {
  std::vector<int32_t> out;
  for (const Piece& piece : rendering) {
    const auto tokens = encode_part(tokenizer, piece.text, piece.literal, &piece == rendering.data());
    out.insert(out.end(), tokens.begin(), tokens.end());
  }
  return out;
}

Rendering pieces_of_answer(const tokenizer::Tokenizer& tokenizer, std::span<const std::string> control,
                           std::span<const int32_t> tokens) {
  std::vector<int32_t> ids;
  for (const std::string& written : control)
    if (const auto id = tokenizer.token_to_id(written)) ids.push_back(*id);
  Rendering out;
  std::vector<int32_t> run;
  const auto flush = [&] {
    if (!run.empty()) out.push_back({tokenizer.decode(run), true});
    run.clear();
  };
  for (const int32_t token : tokens) {
    if (!tokenizer.is_special(token) && std::find(ids.begin(), ids.end(), token) == ids.end()) {
      run.push_back(token);
      continue;
    }
    flush();
    out.push_back({std::string(tokenizer.id_to_bytes(token)), false});
  }
  flush();
  return out;
}

}  // namespace ingrain::chat
