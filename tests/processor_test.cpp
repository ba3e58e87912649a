// INGRAIN_CPU: every library must see the older processor. ctest runs this once as it is and once as AVX2
// (CMakeLists.txt).
#include "ops/simd/processor.h"

#include "base/error.h"
#define INGRAIN_WITH_NATIVE_BF16
#include "ops/simd/targets.h"

#include <ATen/Version.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

namespace ingrain {
namespace {

// Before main, as the first tensors are made when the tables of tests are.
const bool g_limited = (ops::limit_processor(), true);

TEST(Processor, kernels_of_all_libraries_keep_to_what_INGRAIN_CPU_says) {
  ASSERT_TRUE(g_limited);
  const char* const asked = std::getenv("INGRAIN_CPU");
  if (!asked || asked != std::string("avx2")) return;  // the other of ctest's two runs
  EXPECT_LE(ops::vectors(), ops::Vectors::avx2);
  EXPECT_FALSE(ops::has_native_bf16());
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) EXPECT_EQ(target & (HWY_AVX3 | HWY_AVX3_DL), 0);
  EXPECT_THAT((std::vector<std::string>{"AVX2", "DEFAULT", "NO AVX"}), testing::Contains(at::get_cpu_capability()));
}

TEST(Processor, native_bf16_and_the_kernels_for_it_go_together) {
  std::vector<int64_t> targets;
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) targets.push_back(target);
  EXPECT_EQ(std::ranges::count(targets, HWY_AVX3_DL) == 1, ops::has_native_bf16());
}

TEST(Processor, another_word_is_refused_and_the_choices_named) {
  const char* const before = std::getenv("INGRAIN_CPU");
  const std::string restore = before ? before : "";
  setenv("INGRAIN_CPU", "pentium", 1);
  std::string message;
  try {
    ops::limit_processor();
  } catch (const UsageError& e) {
    message = e.what();
  }
  before ? setenv("INGRAIN_CPU", restore.c_str(), 1) : unsetenv("INGRAIN_CPU");
  EXPECT_EQ(message, "INGRAIN_CPU=pentium is not known; choose avx512_bf16, avx512, avx2 or scalar, or leave it away");
}

}  // namespace
}  // namespace ingrain
