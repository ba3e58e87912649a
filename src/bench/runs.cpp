#include "bench/runs.h"

#include <algorithm>

namespace ingrain::bench {

void read_to(const Subject& subject, ttt::Memory& memory, int64_t end, ttt::ReadOptions options) {
  constexpr int64_t kPiece = 32768;  // a multiple of what read() takes at once
  options.keep_going = [](int64_t) { return !interrupted(); };
  while (memory.position < end) {
    ttt::read(subject.model, memory, subject.slice(memory.position, std::min(kPiece, end - memory.position)), options);
    go_on();
  }
}

}  // namespace ingrain::bench
