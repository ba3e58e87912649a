// The C library's allocator, tuned for tensors that live as long as one operation.
#pragma once

#include <cstdint>
#include <string_view>

namespace ingrain {

/// Freed memory stays with the process instead of going back to the kernel after every large tensor: page faults of
/// fresh memory cost more than the operations that fill it. Changes the whole process, so programs call it, not the
/// library. Does nothing where the C library is not glibc.
void keep_freed_memory();

/// All threads take from so many pools: with one each, the default, a program of many threads keeps what each of them
/// once had. As above.
void share_pools(int pools);

/// Freed memory that no operation needs just now goes back to the kernel, whatever keep_freed_memory() says. Takes
/// milliseconds, and what comes next has its page faults again.
void give_back_freed_memory();

/// Whole pages of these bytes of a mapped file leave the process's memory; who reads them again has them again.
/// REQUIRES: they are a file's, mapped read-only.
void forget_pages(std::string_view bytes_of_file);

/// Of the process, as the kernel counts them; 0 where it does not say.
uint64_t resident_bytes();

}  // namespace ingrain
