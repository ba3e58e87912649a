// What the program asks of libingrain_nccl.so, the only file that is linked with NCCL: opened at run time where ranks
// compute on GPUs. Its calls only queue work: none waits for a GPU.
#pragma once

#include <cstdint>

extern "C" {

/// Each function that returns a text returns null, or what went wrong, which lives until the next call. `stream` is the
/// caller's CUDA stream: what it has queued there happens before what is asked for here, and what it queues there after
/// gather(), or after an exchange has ended, happens after it. Memory is the GPU's.
struct IngrainNcclCalls {
  uint32_t version;
  /// 128 bytes that rank 0 makes and everyone begins with.
  const char* (*make_id)(void* id);
  const char* (*begin)(int rank, int ranks, int device, const void* id, void** group);
  const char* (*gather)(void* group, void* data, const uint64_t* begins_R, const uint64_t* sizes_R, void* stream);
  const char* (*begin_exchange)(void* group, const void* out, const uint64_t* out_begins_R, const uint64_t* out_sizes_R,
                                void* in, const uint64_t* in_begins_R, const uint64_t* in_sizes_R, void* stream,
                                uint64_t* exchange);
  /// Whether it has ended; with `queue`, it counts as ended, and `stream` waits for it.
  const char* (*end_exchange)(void* group, uint64_t exchange, int queue, void* stream, int* ended);
  /// What others will never answer ends on this GPU. The group is gone.
  void (*abort)(void* group);
  const char* (*end)(void* group);
};

constexpr uint32_t kIngrainNcclVersion = 1;
constexpr uint64_t kIngrainNcclIdBytes = 128;

/// The module's only symbol.
using IngrainNccl = const IngrainNcclCalls* (*)();
}
