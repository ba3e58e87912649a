// Cuts a template into tokens. White space around tags is handled here, as chat templates are rendered
// everywhere: a newline after a block tag is dropped (trim_blocks), blanks before one at a line's start too
// (lstrip_blocks).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ingrain::jinja {

enum class TokenKind {
  Data,
  VariableBegin,
  VariableEnd,
  BlockBegin,
  BlockEnd,
  Name,
  String,
  Integer,
  Float,
  Operator,
  End
};

struct Token {
  TokenKind kind;
  std::string text;  // a string's is decoded; a number's has no underscores
  int line;
};

/// All tokens, the last being End. Error ("line N: ...") for what cannot be a token or is not closed.
std::vector<Token> tokenize(std::string_view source);

}  // namespace ingrain::jinja
