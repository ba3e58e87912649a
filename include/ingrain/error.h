// The two ways in which ingrain refuses: Error, and UsageError for what the caller got wrong.
#pragma once

#include <stdexcept>

namespace ingrain {

/// Something outside the program is wrong: a file, a field of it, the machine.
/// The text names the file, the field and the remedy; it is meant to be shown to the user as it is.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The command line, or an option of a call, cannot be understood or is out of range.
class UsageError : public Error {
 public:
  using Error::Error;
};

}  // namespace ingrain
