#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/checksum.h"

namespace ingrain {

struct Checksum::State {
  XXH3_state_t xxh;
};

Checksum::Checksum() : state_(std::make_unique<State>()) { XXH3_64bits_reset(&state_->xxh); }
Checksum::~Checksum() = default;
Checksum::Checksum(Checksum&&) noexcept = default;
Checksum& Checksum::operator=(Checksum&&) noexcept = default;

void Checksum::update(const void* bytes, size_t size) { XXH3_64bits_update(&state_->xxh, bytes, size); }

uint64_t Checksum::value() const { return XXH3_64bits_digest(&state_->xxh); }

uint64_t checksum(const void* bytes, size_t size) { return XXH3_64bits(bytes, size); }

}  // namespace ingrain
