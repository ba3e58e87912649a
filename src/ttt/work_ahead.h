// Working ahead towards the step of a memory's unfinished chunk, while few tokens come at a time (ReadOptions::ahead;
// ChunkAhead has the parts and their steps).
#pragma once

#include "ttt/memory.h"

namespace ingrain::ttt {

/// Whether reading `tokens` tokens a call works ahead.
bool should_work_ahead(const Network& model, const ReadOptions& options, int64_t tokens);

/// How many tokens of the chunk must be in the memory, targets included, before work_ahead(known). Begins the work if
/// none is under way.
int64_t tokens_wanted_ahead(const Network& model, Memory& memory, const ReadOptions& options, int64_t known);

/// Makes the steps that are due once `known` tokens of the chunk have known targets. Which parts there are, and what
/// goes into them, depends on the memory alone: it does not matter when their steps are made.
void work_ahead(const Network& model, Memory& memory, const ReadOptions& options, int64_t known);

/// Makes all that are left. REQUIRES: the chunk is full and its last target known.
void finish_ahead(const Network& model, Memory& memory, const ReadOptions& options);

}  // namespace ingrain::ttt
