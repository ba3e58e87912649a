#include "acted.h"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <vector>

struct ActedEvent {
  uint64_t recorded = 0, reached = 0;
};

namespace {

/// One of NCCL's calls.
struct Transfer {
  enum { send, receive, broadcast } kind;
  const char* out;
  char* in;
  size_t size;
  int peer;
};
struct Operation {
  std::function<void()> run;
  std::shared_ptr<ActedEvent> event;
  uint64_t reaches = 0, waits_for = 0;  // of the event
  ActedComm* comm = nullptr;
  uint64_t turn = 0;  // among the communicator's
  std::vector<Transfer> transfers;
};

}  // namespace

struct ActedStream {
  int device;
  std::deque<Operation> queue;
};
struct ActedComm {
  int rank, ranks, device;
  std::string id;
  uint64_t turns = 0;
  ncclResult_t state = ncclSuccess;
};

namespace {

struct World {
  std::recursive_mutex mutex;
  std::mt19937 random;
  std::vector<std::unique_ptr<ActedStream>> streams;
  std::map<ActedEvent*, std::shared_ptr<ActedEvent>> events;
  std::vector<std::unique_ptr<ActedComm>> comms;
  std::string fails;
  uint64_t ids = 0;
  int64_t callers = 0;  // streams that a test made for itself
};
World& world() {
  static World one;
  return one;
}
thread_local int t_device = 0, t_groups = 0;
thread_local bool t_failed = false;
thread_local std::map<std::pair<ActedComm*, ActedStream*>, std::vector<Transfer>> t_gathered;

using Lock = std::lock_guard<std::recursive_mutex>;

bool fails(const char* call) {
  if (world().fails != call) return false;
  world().fails.clear();
  return true;
}

/// The same turn of every rank at the heads of their streams, by rank; empty while one is missing.
std::vector<ActedStream*> meeting(const Operation& mine) {
  std::vector<ActedStream*> out(static_cast<size_t>(mine.comm->ranks));
  for (const auto& stream : world().streams) {
    if (stream->queue.empty()) continue;
    const Operation& head = stream->queue.front();
    if (head.comm && head.comm->id == mine.comm->id && head.turn == mine.turn)
      out[static_cast<size_t>(head.comm->rank)] = stream.get();
  }
  for (const ActedStream* stream : out)
    if (!stream) return {};
  return out;
}

void move(const std::vector<ActedStream*>& by_rank) {
  const auto parts = [&](size_t r) -> std::vector<Transfer>& { return by_rank[r]->queue.front().transfers; };
  for (size_t to = 0; to < by_rank.size(); ++to) {
    for (const Transfer& mine : parts(to)) {
      if (mine.kind == Transfer::send) continue;
      const size_t from = static_cast<size_t>(mine.peer);
      bool found = false;
      for (const Transfer& theirs : parts(from)) {
        if (mine.kind == Transfer::receive && (theirs.kind != Transfer::send || theirs.peer != static_cast<int>(to)))
          continue;
        if (mine.kind == Transfer::broadcast && (theirs.kind != Transfer::broadcast || theirs.peer != mine.peer))
          continue;
        EXPECT_EQ(theirs.size, mine.size) << from << " to " << to;
        if (mine.in != theirs.out) std::memcpy(mine.in, theirs.out, mine.size);
        found = true;
      }
      EXPECT_TRUE(found) << to << " waits for " << from << ", which sends nothing";
    }
  }
  for (ActedStream* stream : by_rank) stream->queue.pop_front();
}

bool run_head(ActedStream& stream) {
  if (stream.queue.empty()) return false;
  Operation& head = stream.queue.front();
  if (head.comm) {
    const auto by_rank = meeting(head);
    if (by_rank.empty()) return false;
    move(by_rank);
    return true;
  }
  if (head.event && head.event->reached < head.waits_for) return false;
  if (head.event && head.reaches > 0) head.event->reached = std::max(head.event->reached, head.reaches);
  const auto run = std::move(head.run);
  stream.queue.pop_front();
  if (run) run();
  return true;
}

ncclResult_t add(const char* call, ncclComm_t comm, cudaStream_t stream, const Transfer& transfer) {
  const Lock lock(world().mutex);
  EXPECT_GT(t_groups, 0) << call << " outside of a group";
  EXPECT_EQ(stream->device, comm->device);
  EXPECT_EQ(t_device, comm->device);
  if (fails(call)) return t_failed = true, ncclSystemError;
  t_gathered[{comm, stream}].push_back(transfer);
  return ncclSuccess;
}

}  // namespace

namespace ingrain::test::acted {

void reset(unsigned seed) {
  World& w = world();
  w.random.seed(seed);
  w.streams.clear(), w.events.clear(), w.comms.clear(), w.fails.clear();
  w.callers = 0;
}
cudaStream_t new_stream() {
  cudaStream_t out = nullptr;
  cudaStreamCreateWithFlags(&out, 0);
  ++world().callers;
  return out;
}
void launch(cudaStream_t stream, std::function<void()> kernel) {
  const Lock lock(world().mutex);
  stream->queue.push_back({std::move(kernel), nullptr, 0, 0, nullptr, 0, {}});
}
bool run_one() {
  const Lock lock(world().mutex);
  auto& streams = world().streams;
  if (streams.empty()) return false;
  const size_t first = world().random() % streams.size();
  for (size_t i = 0; i < streams.size(); ++i)
    if (run_head(*streams[(first + i) % streams.size()])) return true;
  return false;
}
void run_all() {
  while (run_one()) {}
}
bool unfinished() {
  for (const auto& stream : world().streams)
    if (!stream->queue.empty()) return true;
  return false;
}
void fail(const std::string& call) { world().fails = call; }
void tell(int rank, ncclResult_t state) {
  for (const auto& comm : world().comms)
    if (comm->rank == rank) comm->state = state;
}
int64_t left() {
  const World& w = world();
  return static_cast<int64_t>(w.streams.size() + w.events.size() + w.comms.size()) - w.callers;
}

}  // namespace ingrain::test::acted

const char* cudaGetErrorString(cudaError_t) { return "an acted-out error of CUDA"; }
cudaError_t cudaGetDevice(int* device) { return *device = t_device, cudaSuccess; }
cudaError_t cudaSetDevice(int device) { return t_device = device, cudaSuccess; }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const Lock lock(world().mutex);
  if (fails("cudaStreamCreate")) return cudaErrorInvalidValue;
  *stream = world().streams.emplace_back(std::make_unique<ActedStream>(ActedStream{t_device, {}})).get();
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Lock lock(world().mutex);
  std::erase_if(world().streams, [&](const auto& s) { return s.get() == stream; });
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  while (!stream->queue.empty())
    if (!ingrain::test::acted::run_one()) return cudaErrorLaunchFailure;  // it would wait for ever
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const Lock lock(world().mutex);
  stream->queue.push_back({{}, world().events.at(event), 0, event->recorded, nullptr, 0, {}});
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  const Lock lock(world().mutex);
  const auto made = std::make_shared<ActedEvent>();
  world().events[*event = made.get()] = made;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const Lock lock(world().mutex);
  return world().events.erase(event) == 1 ? cudaSuccess : cudaErrorInvalidValue;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const Lock lock(world().mutex);
  if (fails("cudaEventRecord")) return cudaErrorInvalidValue;
  stream->queue.push_back({{}, world().events.at(event), ++event->recorded, 0, nullptr, 0, {}});
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const Lock lock(world().mutex);
  return event->reached >= event->recorded ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  ingrain::test::acted::launch(stream, [=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}

const char* ncclGetErrorString(ncclResult_t) { return "an acted-out error of NCCL"; }
const char* ncclGetLastError(ncclComm_t) { return "its last words"; }
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  const Lock lock(world().mutex);
  if (fails("ncclGetUniqueId")) return ncclSystemError;
  std::memset(id, 0, sizeof *id);
  std::memcpy(id->internal, &++world().ids, sizeof world().ids);
  return ncclSuccess;
}
ncclResult_t ncclCommInitRank(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank) {
  const Lock lock(world().mutex);
  if (fails("ncclCommInitRank")) return ncclInvalidUsage;
  const std::string name(id.internal, sizeof id.internal);
  *comm = world().comms.emplace_back(std::make_unique<ActedComm>(ActedComm{rank, ranks, t_device, name})).get();
  return ncclSuccess;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* state) { return *state = comm->state, ncclSuccess; }
ncclResult_t ncclCommFinalize(ncclComm_t) { return ncclSuccess; }
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  const Lock lock(world().mutex);
  std::erase_if(world().comms, [&](const auto& c) { return c.get() == comm; });
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  const Lock lock(world().mutex);
  for (const auto& stream : world().streams)  // its kernels end without having moved anything
    std::erase_if(stream->queue, [&](const Operation& o) { return o.comm == comm; });
  return ncclCommDestroy(comm);
}
ncclResult_t ncclGroupStart() { return ++t_groups, ncclSuccess; }
ncclResult_t ncclGroupEnd() {
  const Lock lock(world().mutex);
  EXPECT_GT(t_groups, 0);
  if (--t_groups > 0) return ncclSuccess;
  if (std::exchange(t_failed, false)) return t_gathered.clear(), ncclSystemError;
  for (auto& [where, transfers] : t_gathered) {
    const auto [comm, stream] = where;
    stream->queue.push_back({{}, nullptr, 0, 0, comm, ++comm->turns, std::move(transfers)});
  }
  t_gathered.clear();
  return ncclSuccess;
}
ncclResult_t ncclSend(const void* out, size_t count, ncclDataType_t, int peer, ncclComm_t comm, cudaStream_t stream) {
  return add("ncclSend", comm, stream, {Transfer::send, static_cast<const char*>(out), nullptr, count, peer});
}
ncclResult_t ncclRecv(void* in, size_t count, ncclDataType_t, int peer, ncclComm_t comm, cudaStream_t stream) {
  return add("ncclRecv", comm, stream, {Transfer::receive, nullptr, static_cast<char*>(in), count, peer});
}
ncclResult_t ncclBroadcast(const void* out, void* in, size_t count, ncclDataType_t, int root, ncclComm_t comm,
                           cudaStream_t stream) {
  return add("ncclBroadcast", comm, stream,
             {Transfer::broadcast, static_cast<const char*>(out), static_cast<char*>(in), count, root});
}
