// Multi-query associative recall (Arora et al., arXiv 2312.04927; definition of HazyResearch/zoology): pairs of keys
// and values, then every key once more, at distances of which short ones are likelier; its value is what must follow.
#pragma once

#include "data/random.h"

#include <cstdint>
#include <vector>

namespace ingrain::tasks {

struct MqarOptions {
  int64_t vocab = 8192;  // 0 fills; keys are below its half, values not
  int64_t length = 64;   // of the input
  int64_t pairs = 4;
  double power = 0.01;  // a: distance k has a probability in proportion to k^(a - 1)
};

struct MqarExample {
  std::vector<int32_t> tokens;  // length + 1: inputs, and one more target
  std::vector<int64_t> asked;   // positions of keys whose value follows; rising
};

/// Between the queries stands 0 (zoology's random_non_queries = False). Where a language model reads it, a query's
/// value is also the next input. Error for options that leave no room: length must be 4 pairs at least, and even.
MqarExample make_mqar(const MqarOptions& options, data::SplitMix64& random);

}  // namespace ingrain::tasks
