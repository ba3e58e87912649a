// A row's columns and their order, the same on every database.
#pragma once

#include "serve/store/records.h"

namespace ingrain::serve {

#define INGRAIN_RECORD_COLUMNS "owner, kind, id, parent, name, state, body, created, updated, seq"
/// Without the tokens.
#define INGRAIN_STATE_COLUMNS                                                                           \
  "id, owner, parent, base, model, length, hash_high, hash_low, position, steps, bytes, created, used," \
  " has_file, seq"

/// What has_file may be, besides 0. Both are found by their text.
inline constexpr int64_t kHasFile = 1, kDropped = 2;

inline int64_t file_column(const StateRow& state) { return state.has_file ? kHasFile : state.dropped ? kDropped : 0; }

/// text(column), integer(column): of a row with INGRAIN_RECORD_COLUMNS.
template <class Text, class Integer>
Record record_of(const Text& text, const Integer& integer) {
  Record out;
  out.owner = text(0);
  out.kind = text(1);
  out.id = text(2);
  out.parent = text(3);
  out.name = text(4);
  out.state = text(5);
  out.body = text(6);
  out.created = integer(7);
  out.updated = integer(8);
  out.order = integer(9);
  return out;
}

/// The same of a row with INGRAIN_STATE_COLUMNS.
template <class Text, class Integer>
StateRow state_of(const Text& text, const Integer& integer) {
  StateRow out;
  out.id = text(0);
  out.owner = text(1);
  out.parent = text(2);
  out.base = text(3);
  out.model = text(4);
  out.length = static_cast<uint64_t>(integer(5));
  out.hash_high = static_cast<uint64_t>(integer(6));
  out.hash_low = static_cast<uint64_t>(integer(7));
  out.position = integer(8);
  out.steps = integer(9);
  out.bytes = static_cast<uint64_t>(integer(10));
  out.created = integer(11);
  out.used = integer(12);
  out.has_file = integer(13) == kHasFile;
  out.dropped = integer(13) == kDropped;
  out.order = integer(14);
  return out;
}

}  // namespace ingrain::serve
