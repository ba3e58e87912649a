// Names behind which no regular file lies: known before anything is opened, and opened without waiting.
#pragma once

#include <filesystem>

namespace ingrain {

/// Error if something of this name is there (or where it leads, if it is a link) that is no regular file: opening a
/// FIFO would wait for its other end.
void require_regular_or_absent(const std::filesystem::path& path);

/// Where a file of this name is written: what a link names, and the link that this names; else `path` itself. Error for
/// links that lead round in a circle.
std::filesystem::path where_written(const std::filesystem::path& path);
/// The same of a folder, without a slash at its end.
std::filesystem::path folder_where_written(const std::filesystem::path& folder);

/// A descriptor that appends to a file, which is made with `mode` if it is not there; a device, or a FIFO that somebody
/// reads, serve, too. Never waits. Error without a remedy: the caller knows which setting names the file.
int open_to_append(const std::filesystem::path& path, unsigned mode = 0666);

}  // namespace ingrain
