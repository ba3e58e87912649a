// What is wrong with an option of a call, so that every face says it in its own words.
#pragma once

#include "ingrain/error.h"

#include <string>
#include <utility>

namespace ingrain {

/// An option is not known, out of range, or cannot be had here. It has the name of the struct's member ("max_tokens"),
/// which is --max-tokens on the command line, train.device in a run's configuration, "param" in a server's JSON.
class OptionError : public UsageError {
 public:
  OptionError(std::string option, std::string reason)
      : UsageError(option + " " + reason), option_(std::move(option)), reason_(std::move(reason)) {}

  const std::string& option() const { return option_; }
  /// Goes on from the name: "is 0; it must be at least 1".
  const std::string& reason() const { return reason_; }

 private:
  std::string option_, reason_;
};

}  // namespace ingrain
