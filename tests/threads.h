// libtorch's number of threads, for a while: ctest gives a test process one (tests/CMakeLists.txt).
#pragma once

#include <ATen/Parallel.h>

namespace ingrain::test {

class Threads {
 public:
  explicit Threads(int n) : before_(at::get_num_threads()) { at::set_num_threads(n); }
  ~Threads() { at::set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  const int before_;
};

}  // namespace ingrain::test
