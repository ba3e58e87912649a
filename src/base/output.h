// Standard output as programs read it: whole, or an error.
#pragma once

#include <string_view>

namespace ingrain {

/// To be called first in main(): closed standard descriptors are taken by /dev/null, so that no file that is opened
/// later becomes standard output; writing to a pipe whose reader has gone is an error in place of the program's end,
/// which would lose its work.
void guard_standard_streams();

/// Writes and flushes. Error if standard output does not take it: closed, its reader gone, the disk full.
void put(std::string_view text);

/// To be called last: Error if anything of what was printed, by whatever way, did not arrive.
void finish_output();

}  // namespace ingrain
