// XXH3, 64 bits: finds damage, not forgery.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace ingrain {

/// A checksum of bytes that arrive in pieces. Any split of the same bytes gives the same value.
class Checksum {
 public:
  Checksum();
  ~Checksum();
  Checksum(Checksum&&) noexcept;
  Checksum& operator=(Checksum&&) noexcept;

  void update(const void* bytes, size_t size);
  uint64_t value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

uint64_t checksum(const void* bytes, size_t size);

}  // namespace ingrain
