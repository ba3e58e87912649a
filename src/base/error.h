// The two ways in which ingrain refuses: Error (exit status 1) and UsageError (exit status 2).
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace ingrain {

/// Something outside the program is wrong: a file, a field of it, the machine.
/// The text names the file, the field and the remedy; it is shown to the user as it is.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The command line (or a request's parameters) cannot be understood. The program ends with status 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

/// Throws Error with a formatted text: fail("{}: field '{}' is {}; it must be positive", path, name, value).
template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void fail_usage(fmt::format_string<Args...> format, Args&&... args) {
  throw UsageError(fmt::format(format, std::forward<Args>(args)...));
}

/// fail(...) unless `condition` holds.
template <class... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) fail(format, std::forward<Args>(args)...);
}

}  // namespace ingrain
