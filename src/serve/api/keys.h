// API keys: who asks, and how much each may ask for.
#pragma once

#include "serve/api/sha256.h"
#include "serve/http/server.h"

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

namespace ingrain::serve::api {

/// Keys by their hashes; the keys themselves are not kept. Immutable: safe to use by many threads at once.
class ApiKeys {
 public:
  ApiKeys() = default;
  /// Lines of `name:key` or `name:sha256-of-the-key` (64 hexadecimal digits); empty lines and those that begin with #
  /// are skipped. A name (the owner of what its requests make) may stand in several lines: the key is being changed.
  /// Error naming `source` and the line.
  static ApiKeys parse(std::string_view text, const std::string& source);

  bool empty() const { return keys_.empty(); }
  /// Whose key it is; nothing if it is nobody's. Takes the same time for every key.
  std::optional<std::string> owner_of(std::string_view key) const;
  /// The key that a request brings: `Authorization: Bearer KEY` or `x-api-key: KEY`; "" if none.
  static std::string key_of(const Headers& headers);

 private:
  struct Key {
    std::string owner;
    Sha256 hash;
  };
  std::vector<Key> keys_;
};

/// Requests of an owner: per minute, and answers at once. Thread-safe.
class RateLimits {
 public:
  /// 0: no limit.
  RateLimits(int64_t per_minute, int64_t at_once) : per_minute_(per_minute), at_once_(at_once) {}

  /// Counts a request at time `now` (seconds, of a clock that only rises). ApiError 429 beyond the limit.
  void request(const std::string& owner, double now);

  /// Holds one of an owner's places for answers as long as it lives. ApiError 429 if there is none.
  class Place {
   public:
    Place(RateLimits& limits, std::string owner);
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    RateLimits& limits_;
    std::string owner_;
  };

 private:
  struct Account {
    double allowance = 0, counted = 0;  // requests left, as of this time
    int64_t running = 0;
    bool known = false;
  };
  int64_t per_minute_, at_once_;
  std::mutex mutex_;
  std::map<std::string, Account> accounts_;  // as many as there are keys
};

}  // namespace ingrain::serve::api
