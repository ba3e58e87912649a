// Standard output as programs read it: whole, or an error.
#pragma once

#include <filesystem>
#include <string_view>

namespace ingrain {

/// To be called first in main(): closed standard descriptors are taken by /dev/null, so that no file that is opened
/// later becomes standard output; writing to a pipe whose reader has gone is an error in place of the program's end,
/// which would lose its work.
void guard_standard_streams();

/// Writes and flushes. Error if standard output does not take it: closed, its reader gone, the disk full.
void put(std::string_view text);

/// A file or folder that is whole and in its place now: an error of standard output names the last of them, since
/// whoever reads of a failure should know what is there nevertheless. Thread-safe.
void note_kept(const std::filesystem::path& path);

/// To be called last: Error if anything of what was printed, by whatever way, did not arrive.
void finish_output();

}  // namespace ingrain
