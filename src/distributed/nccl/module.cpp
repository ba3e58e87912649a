// libingrain_nccl.so: nccl_calls.h by NCCL, on a stream of its own beside the one that computes.
#include "distributed/nccl_calls.h"

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstring>
#include <map>
#include <memory>
#include <string>

namespace {

static_assert(sizeof(ncclUniqueId) == kIngrainNcclIdBytes);

std::string g_error;

struct Group {
  ncclComm_t comm = nullptr;
  int rank = 0, ranks = 1, device = 0;
  cudaStream_t stream = nullptr;
  std::map<uint64_t, cudaEvent_t> exchanges;  // under way, by number: their end
  uint64_t begun = 0;
};

const char* told(const char* what, const std::string& why) {
  g_error = std::string(what) + ": " + why;
  return g_error.c_str();
}
const char* told(cudaError_t code, const char* what) {
  return code == cudaSuccess ? nullptr : told(what, cudaGetErrorString(code));
}
const char* told(ncclResult_t code, const char* what, ncclComm_t comm = nullptr) {
  if (code == ncclSuccess || code == ncclInProgress) return nullptr;
  const char* const last = ncclGetLastError(comm);
  return told(what, std::string(ncclGetErrorString(code)) + (last && *last ? std::string(", ") + last : ""));
}

/// The group's GPU is the thread's current one while it lives.
class OnDevice {
 public:
  explicit OnDevice(int device) {
    cudaGetDevice(&before_);
    cudaSetDevice(device);
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  ~OnDevice() { cudaSetDevice(before_); }

 private:
  int before_ = 0;
};

/// What is queued on `waits` from now on happens after all that is queued on `goes_first`.
const char* in_order(cudaStream_t goes_first, cudaStream_t waits) {
  cudaEvent_t reached = nullptr;
  if (const char* error = told(cudaEventCreateWithFlags(&reached, cudaEventDisableTiming), "cudaEventCreate"))
    return error;
  const char* error = told(cudaEventRecord(reached, goes_first), "cudaEventRecord");
  if (!error) error = told(cudaStreamWaitEvent(waits, reached, 0), "cudaStreamWaitEvent");
  cudaEventDestroy(reached);  // when it has happened
  return error;
}

/// NCCL's calls of one movement are one: it takes them together or not at all.
template <class Calls>
const char* together(const Group& g, const char* what, const Calls& calls) {
  if (const char* error = told(ncclGroupStart(), "ncclGroupStart", g.comm)) return error;
  const ncclResult_t inside = calls();
  const ncclResult_t ended = ncclGroupEnd();
  return told(inside != ncclSuccess ? inside : ended, what, g.comm);
}

/// What went wrong since, on this GPU or between it and others.
const char* state(const Group& g) {
  ncclResult_t now = ncclSuccess;
  const ncclResult_t asked = ncclCommGetAsyncError(g.comm, &now);
  return told(asked != ncclSuccess ? asked : now, "NCCL", g.comm);
}

const char* make_id(void* id) {
  ncclUniqueId made;
  const char* const error = told(ncclGetUniqueId(&made), "ncclGetUniqueId");
  if (!error) std::memcpy(id, &made, sizeof made);
  return error;
}

const char* begin(int rank, int ranks, int device, const void* id, void** group) {
  auto g = std::make_unique<Group>();
  g->rank = rank, g->ranks = ranks, g->device = device;
  const OnDevice here(device);
  ncclUniqueId everyones;
  std::memcpy(&everyones, id, sizeof everyones);
  if (const char* error = told(cudaStreamCreateWithFlags(&g->stream, cudaStreamNonBlocking), "cudaStreamCreate"))
    return error;
  if (const char* error = told(ncclCommInitRank(&g->comm, ranks, everyones, rank), "ncclCommInitRank")) {
    cudaStreamDestroy(g->stream);
    return error;
  }
  *group = g.release();
  return nullptr;
}

const char* gather(void* group, void* data, const uint64_t* begins_R, const uint64_t* sizes_R, void* stream) {
  Group& g = *static_cast<Group*>(group);
  const OnDevice here(g.device);
  const auto callers = static_cast<cudaStream_t>(stream);
  if (const char* error = state(g)) return error;
  if (const char* error = in_order(callers, g.stream)) return error;
  const char* const error = together(g, "ncclBroadcast", [&] {
    for (int r = 0; r < g.ranks; ++r) {
      char* const part = static_cast<char*>(data) + begins_R[r];
      if (sizes_R[r] == 0) continue;
      if (const ncclResult_t code = ncclBroadcast(part, part, sizes_R[r], ncclUint8, r, g.comm, g.stream);
          code != ncclSuccess)
        return code;
    }
    return ncclSuccess;
  });
  return error ? error : in_order(g.stream, callers);
}

const char* begin_exchange(void* group, const void* out, const uint64_t* out_begins_R, const uint64_t* out_sizes_R,
                           void* in, const uint64_t* in_begins_R, const uint64_t* in_sizes_R, void* stream,
                           uint64_t* exchange) {
  Group& g = *static_cast<Group*>(group);
  const OnDevice here(g.device);
  if (const char* error = state(g)) return error;
  if (const char* error = in_order(static_cast<cudaStream_t>(stream), g.stream)) return error;
  const auto to = [&](int r) { return static_cast<const char*>(out) + out_begins_R[r]; };
  const auto from = [&](int r) { return static_cast<char*>(in) + in_begins_R[r]; };
  if (const uint64_t own = out_sizes_R[g.rank]; own > 0)
    if (const char* error =
            told(cudaMemcpyAsync(from(g.rank), to(g.rank), own, cudaMemcpyDeviceToDevice, g.stream), "cudaMemcpyAsync"))
      return error;
  if (const char* error = together(g, "ncclSend and ncclRecv", [&] {
        for (int r = 0; r < g.ranks; ++r) {
          if (r == g.rank) continue;
          ncclResult_t code = ncclSuccess;
          if (out_sizes_R[r] > 0) code = ncclSend(to(r), out_sizes_R[r], ncclUint8, r, g.comm, g.stream);
          if (code == ncclSuccess && in_sizes_R[r] > 0)
            code = ncclRecv(from(r), in_sizes_R[r], ncclUint8, r, g.comm, g.stream);
          if (code != ncclSuccess) return code;
        }
        return ncclSuccess;
      }))
    return error;
  cudaEvent_t end = nullptr;
  if (const char* error = told(cudaEventCreateWithFlags(&end, cudaEventDisableTiming), "cudaEventCreate")) return error;
  g.exchanges[*exchange = ++g.begun] = end;
  return told(cudaEventRecord(end, g.stream), "cudaEventRecord");
}

const char* end_exchange(void* group, uint64_t exchange, int queue, void* stream, int* ended) {
  Group& g = *static_cast<Group*>(group);
  const OnDevice here(g.device);
  *ended = 0;
  if (const char* error = state(g)) return error;
  const cudaEvent_t end = g.exchanges.at(exchange);
  if (!queue) {
    const cudaError_t code = cudaEventQuery(end);
    if (code == cudaErrorNotReady) return nullptr;
    if (const char* error = told(code, "cudaEventQuery")) return error;
  }
  // Where it has ended already, too: so the stream has it in order by CUDA's own rules.
  if (const char* error = told(cudaStreamWaitEvent(static_cast<cudaStream_t>(stream), end, 0), "cudaStreamWaitEvent"))
    return error;
  g.exchanges.erase(exchange);
  *ended = 1;
  return told(cudaEventDestroy(end), "cudaEventDestroy");
}

/// With what CUDA gave it.
void forget(Group* g) {
  for (const auto& [number, event] : g->exchanges) cudaEventDestroy(event);
  cudaStreamDestroy(g->stream);
  delete g;
}

void abort_group(void* group) {
  auto* const g = static_cast<Group*>(group);
  const OnDevice here(g->device);
  ncclCommAbort(g->comm);
  forget(g);
}

const char* end(void* group) {
  auto* const g = static_cast<Group*>(group);
  const OnDevice here(g->device);
  const char* error = told(cudaStreamSynchronize(g->stream), "cudaStreamSynchronize");
  if (!error) error = told(ncclCommFinalize(g->comm), "ncclCommFinalize", g->comm);
  if (!error) error = told(ncclCommDestroy(g->comm), "ncclCommDestroy");
  forget(g);
  return error;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const IngrainNcclCalls* ingrain_nccl() {
  static const IngrainNcclCalls calls{kIngrainNcclVersion, make_id,      begin,       gather,
                                      begin_exchange,      end_exchange, abort_group, end};
  return &calls;
}
