#include "serve/api/keys.h"

#include "base/text.h"
#include "base/utf8.h"
#include "serve/api/api_error.h"

#include <algorithm>
#include <cmath>

namespace ingrain::serve::api {
namespace {

std::optional<Sha256> hash_from_hex(std::string_view digits) {
  Sha256 out{};
  if (digits.size() != 2 * out.size()) return std::nullopt;
  for (size_t i = 0; i < digits.size(); ++i) {
    const int value = hex_digit(digits[i]);
    if (value < 0) return std::nullopt;
    out[i / 2] = static_cast<uint8_t>(out[i / 2] << 4 | value);
  }
  return out;
}

std::string_view trim_line(std::string_view line) {
  const size_t first = line.find_first_not_of(" \t\r");
  return first == line.npos ? std::string_view() : line.substr(first, line.find_last_not_of(" \t\r") - first + 1);
}

bool owner_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '-' || c == '.' || c == '@';
  });
}

/// All bytes are looked at, whatever they say.
bool same_hash(const Sha256& a, const Sha256& b) {
  uint8_t differs = 0;
  for (size_t i = 0; i < a.size(); ++i) differs |= a[i] ^ b[i];
  return differs == 0;
}

}  // namespace

ApiKeys ApiKeys::parse(std::string_view text, const std::string& source) {
  ApiKeys out;
  int number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trim_line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.empty() || line[0] == '#') continue;
    const size_t colon = line.find(':');
    require(colon != line.npos && owner_name(line.substr(0, colon)),
            "{}:{}: a line must be name:key, the name of letters, digits, '.', '_', '-' and '@'", source, number);
    const std::string_view key = line.substr(colon + 1);
    require(key.size() >= 16, "{}:{}: the key of '{}' has fewer than 16 characters; take a longer one", source, number,
            line.substr(0, colon));
    out.keys_.push_back({std::string(line.substr(0, colon)), hash_from_hex(key).value_or(sha256(key))});
  }
  return out;
}

std::optional<std::string> ApiKeys::owner_of(std::string_view key) const {
  const Sha256 hash = sha256(key);
  const Key* found = nullptr;
  for (const Key& known : keys_)
    if (same_hash(known.hash, hash)) found = &known;
  return found ? std::optional(found->owner) : std::nullopt;
}

std::string ApiKeys::key_of(const Headers& headers) {
  if (const auto key = headers.find("x-api-key"); key != headers.end()) return key->second;
  const auto authorization = headers.find("Authorization");
  if (authorization == headers.end()) return {};
  const std::string& value = authorization->second;
  constexpr std::string_view kBearer = "bearer ";
  const bool bearer =
      value.size() > kBearer.size() && in_ascii_lower(std::string_view(value).substr(0, kBearer.size())) == kBearer;
  return bearer ? std::string(trim_line(std::string_view(value).substr(kBearer.size()))) : std::string();
}

void RateLimits::request(const std::string& owner, double now) {
  if (per_minute_ == 0) return;
  const std::lock_guard lock(mutex_);
  Account& account = accounts_[owner];
  const double rate = static_cast<double>(per_minute_) / 60;
  account.allowance =
      account.known ? std::min(static_cast<double>(per_minute_), account.allowance + rate * (now - account.counted))
                    : static_cast<double>(per_minute_);
  account.counted = now;
  account.known = true;
  if (account.allowance < 1) {
    throw too_many_requests(fmt::format("more than {} requests a minute", per_minute_),
                            static_cast<int>(std::ceil((1 - account.allowance) / rate)));
  }
  account.allowance -= 1;
}

RateLimits::Place::Place(RateLimits& limits, std::string owner) : limits_(limits), owner_(std::move(owner)) {
  const std::lock_guard lock(limits_.mutex_);
  int64_t& running = limits_.accounts_[owner_].running;
  if (limits_.at_once_ > 0 && running >= limits_.at_once_)
    throw too_many_requests(fmt::format("more than {} answers at once", limits_.at_once_), 1);
  ++running;
}

RateLimits::Place::~Place() {
  const std::lock_guard lock(limits_.mutex_);
  --limits_.accounts_[owner_].running;
}

}  // namespace ingrain::serve::api
