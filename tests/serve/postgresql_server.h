// A PostgreSQL of Debian's package, started for tests in a temporary folder and stopped with the process.
#pragma once

#include <string>

namespace ingrain::serve {

/// Its address, with a fresh database for each call; "" and the reason in `why`, where there is none on this machine.
std::string postgresql_database(std::string* why);
/// Restarts it at once, as a crash would.
void restart_postgresql();

}  // namespace ingrain::serve
