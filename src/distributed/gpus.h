// The ranks' GPUs, which talk to each other by NCCL, without the host's memory between them.
#pragma once

#include "distributed/communicator.h"

struct IngrainNcclCalls;

namespace ingrain::distributed {

/// The current CUDA stream of the calling thread, on which its numbers are computed.
using CurrentStream = std::function<void*()>;

/// Another communicator of the same ranks, for memory of their GPUs: `device` is this one's, by number. What it is
/// asked for happens on the GPU, after what is queued on the stream then and before what is queued there later; the
/// calling thread waits for nothing, so that its traffic() counts bytes, but no waiting. gather_texts() and the like,
/// finish() and the watch stay with `ranks`, which must outlive it.
///
/// To be called on all ranks. Null, with the reason in `why_not`, if one of them has no libingrain_nccl.so beside it,
/// or was told INGRAIN_NCCL=off. Agreed if NCCL refuses.
std::unique_ptr<Communicator> join_gpus(Communicator& ranks, int device, const CurrentStream& stream,
                                        std::string& why_not);

/// The same by these calls.
std::unique_ptr<Communicator> join_gpus(Communicator& ranks, const IngrainNcclCalls& calls, int device,
                                        const CurrentStream& stream);

}  // namespace ingrain::distributed
