// Throwing OptionError with a formatted reason.
#pragma once

#include "base/error.h"
#include "ingrain/option_error.h"

namespace ingrain {

/// fail_option("window", "is {}; it must be at least 1", value).
template <class... Args>
[[noreturn]] void fail_option(std::string option, fmt::format_string<Args...> reason, Args&&... args) {
  throw OptionError(std::move(option), fmt::format(reason, std::forward<Args>(args)...));
}

}  // namespace ingrain
