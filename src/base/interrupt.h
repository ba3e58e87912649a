// Ctrl-C and SIGTERM as a question that long work asks between steps; a second Ctrl-C ends the program at once.
#pragma once

namespace ingrain {

/// From now on SIGINT and SIGTERM set a flag instead of killing the program. Call once, from a command; again, to
/// forget what has come so far.
void watch_interrupts();

/// Whether one of them has come. Async-signal-safe, any thread.
bool interrupted();

}  // namespace ingrain
