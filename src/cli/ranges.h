// What options take, with errors that are sentences.
#pragma once

#include <CLI/CLI.hpp>

#include <cctype>
#include <string>

namespace ingrain::cli {

/// A whole number of `least` or more: "--limit 0: it must be 1 or more".
inline CLI::Validator at_least(long long least) {
  const auto check = [least](std::string& text) -> std::string {
    long long number = 0;
    const std::string rule = "it must be a whole number, " + std::to_string(least) + " or more";
    if (!CLI::detail::lexical_cast(text, number)) return "'" + text + "' is no number here; " + rule;
    return number < least ? text + " is out of range; " + rule : "";
  };
  return CLI::Validator(check, "", "");
}

/// Any of 64 bits, written without a sign.
inline CLI::Validator without_sign() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        const bool digits = !text.empty() && std::isdigit(static_cast<unsigned char>(text[0]));
        return digits ? "" : "'" + text + "' is out of range; it must be a whole number, 0 or more";
      },
      "", "");
}

}  // namespace ingrain::cli
