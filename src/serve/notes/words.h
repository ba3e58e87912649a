// The words of texts and questions, as the notepad's index knows them.
#pragma once

#include <string>
#include <string_view>

namespace ingrain::serve {

/// Of a script that puts no spaces between words (Han, kana, Hangul): indexed character by character.
bool is_unspaced(char32_t character);

/// Whether a text reads as English: by the share of its function words ("the", "of", "was") among its first 2000.
bool looks_english(std::string_view text);

/// What is indexed of a text: itself, with every unspaced character a word of its own, and no invalid byte.
std::string indexed_text(std::string_view text);

/// A question as an FTS5 expression: its words, quoted, joined by OR; of scripts without spaces every two characters
/// that follow each other. At most 64 of them, the first and the last 32. Function words are left out, unless there
/// are no others. "" if there are none. Nothing in a question is an operator.
std::string match_expression(std::string_view question);

}  // namespace ingrain::serve
