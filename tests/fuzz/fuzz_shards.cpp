// Any bytes are either refused with an Error or are a shard that can be read to its last token.
#include "base/error.h"
#include "data/shards.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

namespace {

/// Checksums would refuse almost every mutation: repair them, so that the checks behind them are reached.
void repair_checksums(std::string& bytes) {
  using ingrain::checksum;
  const auto load = [&](size_t offset) {
    uint64_t value;
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
  };
  const auto store = [&](size_t offset, uint64_t value) { std::memcpy(bytes.data() + offset, &value, sizeof value); };
  const uint64_t table = load(48);
  if (table >= 128 && table <= bytes.size()) store(64, checksum(bytes.data() + table, bytes.size() - table));
  const uint64_t token_bytes = load(16) * static_cast<uint8_t>(bytes[12]);
  if (token_bytes <= bytes.size() - 128) store(56, checksum(bytes.data() + 128, token_bytes));
  store(120, checksum(bytes.data(), 120));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ingrain;
  static const int fd = ::memfd_create("shard", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  std::string bytes(reinterpret_cast<const char*>(data), size);
  if (size >= 128) repair_checksums(bytes);
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    std::abort();
  }
  try {
    const data::ShardFile shard(path);
    uint64_t total = 0;
    for (uint64_t i = 0; i < shard.info().documents; ++i) total += shard.document(i).size();
    if (total != shard.tokens().size()) std::abort();
    std::vector<int32_t> ids(shard.tokens().size());
    shard.tokens().copy_to(ids.data(), shard.info().vocab_size);
    shard.verify();
  } catch (const Error&) {}
  return 0;
}
