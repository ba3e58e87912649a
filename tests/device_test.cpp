// A device by its name, on machines that are made up; and on this one, what holds on any.
#include "ingrain/option_error.h"
#include "model/device.h"
#include "store/open_model.h"
#include "scratch.h"

#include <gmock/gmock.h>

namespace ingrain {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const Gpus kNone{.kernels = true, .capabilities = {}};
const Gpus kOld{.kernels = true, .capabilities = {75}};
const Gpus kThree{.kernels = true, .capabilities = {75, 80, 90}};
const Gpus kUnbuilt{.kernels = false, .capabilities = {}};

at::Device gpu(int number) { return {at::kCUDA, static_cast<at::DeviceIndex>(number)}; }
at::Device device(std::string_view name, const Gpus& gpus) { return parse_device(name, gpus); }
std::string refusal(std::string_view name, const Gpus& gpus) {
  EXPECT_THROW(parse_device(name, gpus), UsageError);
  return error_of([&] { parse_device(name, gpus); });
}

TEST(Device, auto_is_the_first_gpu_that_can_be_used_and_otherwise_the_cpu) {
  EXPECT_EQ(device("auto", kThree), gpu(1));
  for (const Gpus& gpus : {kNone, kOld, kUnbuilt}) EXPECT_EQ(device("auto", gpus), at::kCPU);
}

TEST(Device, a_gpu_has_a_number) {
  EXPECT_EQ(device("cuda:1", kThree), gpu(1));
  EXPECT_EQ(device("cuda:2", kThree), gpu(2));
  EXPECT_EQ(device("cuda", {.kernels = true, .capabilities = {90}}), gpu(0));
  for (const Gpus& gpus : {kNone, kOld, kThree, kUnbuilt}) EXPECT_EQ(device("cpu", gpus), at::kCPU);
}

TEST(Device, what_cannot_be_had_is_refused_with_the_reason_and_the_remedy) {
  EXPECT_THAT(refusal("cuda", kUnbuilt),
              AllOf(HasSubstr("device cuda: this build has no CUDA kernels"), HasSubstr("docs/install.md")));
  EXPECT_THAT(refusal("cuda:0", kNone), AllOf(HasSubstr("no GPU was found"), HasSubstr("nvidia-smi")));
  EXPECT_THAT(refusal("cuda:3", kThree), HasSubstr("the last GPU here is cuda:2"));
  EXPECT_THAT(refusal("cuda:300", kThree), HasSubstr("the last GPU here is cuda:2"));
  EXPECT_THAT(refusal("cuda", kThree), HasSubstr("compute capability 7.5; the kernels need 8.0"));
  try {
    parse_device("cuda", kNone);
  } catch (const OptionError& e) {
    EXPECT_EQ(e.option(), "device");
    EXPECT_EQ(e.what(), "device " + e.reason());
  }
}

TEST(Device, other_words_are_unknown_on_every_machine) {
  for (const char* word :
       {"", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda: 1", "cuda:1x", "cuda:99999999999999999999", "cpu:0", "cuda1"}) {
    EXPECT_FALSE(is_device_name(word)) << word;
    for (const Gpus& gpus : {kThree, kUnbuilt})
      EXPECT_THAT(refusal(word, gpus), HasSubstr("is not known; choose auto, cpu, cuda")) << word;
  }
  for (const char* word : {"auto", "cpu", "cuda", "cuda:0", "cuda:12"}) EXPECT_TRUE(is_device_name(word)) << word;
}

TEST(Device, quantized_weights_are_for_the_cpu) {
  const auto refusal_of = [](const LoadOptions& options) { return error_of([&] { open_model("/nowhere", options); }); };
  EXPECT_THAT(refusal_of({.weights = "q8_0", .device = "cuda:1"}),
              HasSubstr("weights q8_0 is for the CPU, not for the device cuda:1"));
  EXPECT_THAT(refusal_of({.weights = "q4_1", .device = "cuda:1"}), HasSubstr("weights q4_1 is for the CPU"));
  EXPECT_THAT(refusal_of({.weights = "q5_1"}), HasSubstr("choose native, expanded, q8_0, q4_1"));
  EXPECT_THAT(refusal_of({.weights = "q8_0", .device = "gpu"}), HasSubstr("'gpu' is not known"));
  for (const char* there : {"auto", "cpu"})
    EXPECT_THAT(refusal_of({.weights = "q8_0", .device = there}), HasSubstr("no such model"));
}

TEST(Device, what_is_uploaded_to_where_it_is_stays_there) {
  const Tensor x = at::ones({3});
  EXPECT_TRUE(upload(x, at::kCPU).is_same(x));
}

}  // namespace
}  // namespace ingrain
