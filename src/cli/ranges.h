// What options take, with errors that say it in words. Every option of every command that takes a number is added by
// add_whole() or add_real() (tests/python/test_command_line.py looks).
#pragma once

#include "base/whole_number.h"

#include <CLI/CLI.hpp>

#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace ingrain::cli {

/// "--passages: 65 is out of range; it must be a whole number from 1 to 64". What it passes on is plain decimal: CLI11
/// would take "010" for eight, and a number that its type cannot hold for the largest one.
CLI::Validator whole(const WholeRange& range);
/// "--lease: 'soon' is no number; it must be a number from 1 to 86400". Infinities and NaN are none.
CLI::Validator real(double least, double greatest);

/// "--learn: 'al' is not known; choose one of: all, input, off (did you mean 'all'?)". In --help: {all,input,off}.
CLI::Validator one_of(const std::vector<std::string>& words);

template <class Value>
struct NumberOf {
  using type = Value;
};
template <class Value>
struct NumberOf<std::vector<Value>> : NumberOf<Value> {};
template <class Value>
struct NumberOf<std::optional<Value>> : NumberOf<Value> {};

/// An option that takes a whole number, or (a vector) several, each from `least` to `greatest`.
template <class Value, class Number = typename NumberOf<Value>::type>
CLI::Option* add_whole(CLI::App& command, const std::string& names, Value& value, const std::string& what,
                       typename NumberOf<Value>::type least,
                       typename NumberOf<Value>::type greatest = std::numeric_limits<Number>::max()) {
  return command.add_option(names, value, what)->transform(whole(WholeRange::of<Number>(least, greatest)));
}

/// An option that takes any number of a range. Value: double, or a std::optional of it.
template <class Value>
CLI::Option* add_real(CLI::App& command, const std::string& names, Value& value, const std::string& what,
                      double least = -std::numeric_limits<double>::max(),
                      double greatest = std::numeric_limits<double>::max()) {
  return command.add_option(names, value, what)->check(real(least, greatest));
}

}  // namespace ingrain::cli
