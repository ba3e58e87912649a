// Writing, taken piece by piece: for who draws text when it is wanted, as an iterator does, in place of being called.
#pragma once

#include "ingrain/generate.h"

namespace ingrain {

/// generate(), to be called once for each piece. Both give the same text. One thread at a time; what else is read into
/// the memory between two calls is allowed, and the text goes on from it.
class Writing {
 public:
  /// The memory must outlive it. Errors as of generate().
  Writing(Memory& memory, GenerateOptions options, std::span<const int32_t> seen = {});
  Writing(Writing&&) noexcept;
  ~Writing();

  /// The next text, whole characters, never empty; nothing once the text has ended. What options.keep_going throws goes
  /// on to the caller, and leaves all as if it had not been called.
  std::optional<std::string> next();

  /// What was written so far. Its reason is `interrupted` until the end.
  Generated written() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ingrain
