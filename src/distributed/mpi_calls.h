// What the program asks of libingrain_mpi.so, the only file that is linked with an MPI library: opened at run time
// where a launcher has started several processes, so that a machine without MPI builds and runs everything else.
#pragma once

#include <cstdint>

extern "C" {

/// Each function returns null, or a text that says what went wrong and lives until the next call.
struct IngrainMpiCalls {
  uint32_t version;
  const char* (*begin)(int* rank, int* ranks);
  const char* (*gather)(void* data, const uint64_t* begins_R, const uint64_t* sizes_R);
  const char* (*begin_exchange)(const void* out, const uint64_t* out_begins_R, const uint64_t* out_sizes_R, void* in,
                                const uint64_t* in_begins_R, const uint64_t* in_sizes_R, uint64_t* exchange);
  const char* (*end_exchange)(uint64_t exchange, int wait, int* ended);
  const char* (*end)();
};

constexpr uint32_t kIngrainMpiVersion = 2;

/// The module's only symbol.
using IngrainMpi = const IngrainMpiCalls* (*)();
}
