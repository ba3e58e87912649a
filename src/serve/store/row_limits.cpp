#include "serve/store/row_limits.h"

#include "base/error.h"
#include "base/text.h"

#include <algorithm>

namespace ingrain::serve {
namespace {

constexpr size_t kLongestKey = 512;
constexpr size_t kLongestBody = size_t{64} << 20, kLongestTokens = size_t{256} << 20;

void check_key(const char* field, const std::string& value, bool required = false) {
  require(!required || !value.empty(), "store: {} is empty", field);
  require(value.size() <= kLongestKey, "store: {} of {} bytes; at most {} are kept", field, value.size(), kLongestKey);
  require(value.find('\0') == value.npos, "store: {} contains a NUL byte; leave it out", field);
}

void check_size(const char* field, const std::string& value, size_t most) {
  require(value.size() <= most, "store: {} of {} bytes; at most {} are kept", field, value.size(), most);
}

}  // namespace

void check_row(const Record& record) {
  check_key("owner", record.owner);
  check_key("kind", record.kind, true);
  check_key("id", record.id, true);
  check_key("parent", record.parent);
  check_key("name", record.name);
  check_key("state", record.state);
  check_size("body", record.body, kLongestBody);
}

void check_row(const StateRow& state) {
  check_key("state id", state.id, true);
  check_key("owner", state.owner);
  check_key("parent", state.parent);
  check_key("base", state.base);
  check_key("model", state.model);
  check_size("tokens", state.tokens, kLongestTokens);
}

std::string name_taken_text(const Record& record) {
  return fmt::format("there is a {} of the name '{}' already; take another name", record.kind, printable(record.name));
}

std::string lease_lost_text(const Lease& lease) {
  return fmt::format("the lease of '{}' ended while this was in work; nothing was written", printable(lease.name));
}

int64_t list_limit(int64_t wanted) { return std::clamp<int64_t>(wanted, 1, 1'000'000); }

}  // namespace ingrain::serve
