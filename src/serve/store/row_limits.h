// What a row may hold, the same on every database.
#pragma once

#include "serve/store/records.h"

namespace ingrain::serve {

/// Error, naming the field, for a row that no implementation takes.
void check_row(const Record& record);
void check_row(const StateRow& state);
/// What NameTaken says.
std::string name_taken_text(const Record& record);
/// What LeaseLost says.
std::string lease_lost_text(const Lease& lease);
/// A limit of a list: 1 ... 1,000,000.
int64_t list_limit(int64_t wanted);

}  // namespace ingrain::serve
