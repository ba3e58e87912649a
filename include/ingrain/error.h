// The two ways in which ingrain refuses: Error, and UsageError for what the caller got wrong.
#pragma once

#include <stdexcept>
#include <string>

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
  explicit UsageError(const std::string& text) : Error(text), reason_(text) {}
  /// Of one option, by its name in the interface ("inner_lr"): every face spells that as it calls it (--inner-lr).
  UsageError(std::string option, std::string reason)
      : Error(option + " " + reason), option_(std::move(option)), reason_(std::move(reason)) {}

  const std::string& option() const { return option_; }  // empty: the reason names what it is about
  const std::string& reason() const { return reason_; }  // goes on after the option's name: "is 0; it must be positive"

 private:
  std::string option_, reason_;
};

}  // namespace ingrain
