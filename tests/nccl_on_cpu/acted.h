// GPUs of several ranks and NCCL between them, acted out in one process: a stream is a queue, and what lies at its head
// runs when nothing that it waits for is missing, in an order drawn at random. So who forgot to wait reads what is not
// there yet. An operation of NCCL runs when every rank's is at the head of its stream.
#pragma once

#include <nccl.h>

#include <cstdint>
#include <functional>
#include <string>

namespace ingrain::test::acted {

/// All anew; a seed for the order.
void reset(unsigned seed);
cudaStream_t new_stream();
void launch(cudaStream_t stream, std::function<void()> kernel);
/// Runs one thing that can run. False: nothing can.
bool run_one();
void run_all();
/// Whether something is queued that has not run.
bool unfinished();
/// The call of this name fails, the next time that it is made.
void fail(const std::string& call);
/// What rank `rank`'s communicators say of themselves from now on.
void tell(int rank, ncclResult_t state);
/// Streams, events and communicators that nobody has destroyed.
int64_t left();

}  // namespace ingrain::test::acted
