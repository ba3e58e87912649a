#include "other_device/device.h"

#include "other_device/recorder.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/_local_scalar_dense_native.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/resize_native.h>
#include <ATen/ops/set_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <atomic>
#include <cstring>

namespace ingrain::test {
namespace {

using at::Tensor;

std::atomic<int64_t> g_waits{0}, g_downloads{0};

struct Allocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* const data = std::malloc(std::max<size_t>(bytes, 1));
    allocated(data);
    return {data, data, &std::free, kOther};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &std::free; }
  void copy_data(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }
};
Allocator g_allocator;
constexpr c10::DispatchKeySet kKeys(c10::DispatchKey::PrivateUse1);

Tensor empty(c10::IntArrayRef size, std::optional<at::ScalarType> type, std::optional<at::Layout>,
             std::optional<at::Device>, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &g_allocator, kKeys, type.value_or(at::kFloat), format);
}
Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<at::ScalarType> type,
                     std::optional<at::Layout>, std::optional<at::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &g_allocator, kKeys, type.value_or(at::kFloat));
}

/// The same memory as a tensor of the CPU.
Tensor on_cpu(const Tensor& x) {
  return x.is_cpu() ? x : at::from_blob(x.data_ptr(), x.sizes(), x.strides(), x.options().device(at::kCPU));
}

void move_numbers(const Tensor& from, const Tensor& to) { on_cpu(to).copy_(on_cpu(from)); }

Tensor copy_from(const Tensor& from, const Tensor& to, bool non_blocking) {
  if (from.device() != to.device()) {
    not_while_recording("a copy from or to the CPU");
    if (!non_blocking) ++g_waits;
    if (to.is_cpu()) ++g_downloads;
  }
  move_numbers(from, to);
  if (recording()) record([from = from.detach(), to = to.detach()] { move_numbers(from, to); });
  return to;
}
Tensor copy_from_and_resize(const Tensor& from, const Tensor& to) {
  to.resize_(from.sizes());
  return copy_from(from, to, /*non_blocking=*/false);
}
at::Scalar local_scalar(const Tensor& x) {
  not_while_recording("waiting for a number");
  ++g_waits;
  return at::native::_local_scalar_dense_cpu(on_cpu(x));
}
const Tensor& resize(const Tensor& x, c10::IntArrayRef size, std::optional<at::MemoryFormat> format) {
  not_from_outside("resize_", x.storage().data());
  return at::native::resize_(x, size, format);
}
Tensor& set_storage(Tensor& x, at::Storage storage, int64_t offset, c10::IntArrayRef size, c10::IntArrayRef stride) {
  not_from_outside("set_", x.storage().data());
  return at::native::set_storage_cpu_(x, std::move(storage), offset, size, stride);
}

/// Numbers of the CPU may be operands, as on a GPU; its tensors may not.
void check(const Tensor& x, const c10::OperatorHandle& op) {
  TORCH_CHECK(!x.defined() || !x.is_cpu() || x.dim() == 0, op.schema().name(),
              ": a tensor on the CPU among those of another device");
}

using Values = std::vector<c10::IValue>;

/// An operand as it is now, for later. Tensors of the device are the same memory; numbers of the CPU are copied, as a
/// launch does.
c10::IValue kept(const c10::IValue& value) {
  const auto keep = [](const Tensor& x) { return !x.defined() ? x : x.is_cpu() ? x.clone() : x.detach(); };
  if (value.isTensor()) return keep(value.toTensor());
  if (value.isTensorList()) {
    c10::List<Tensor> out;
    for (const Tensor& x : value.toTensorVector()) out.push_back(keep(x));
    return out;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<Tensor>> out;
    for (const auto& x : value.toOptionalTensorVector()) out.push_back(x ? std::optional(keep(*x)) : std::nullopt);
    return out;
  }
  return value;
}
Values kept(at::ArrayRef<c10::IValue> values) {
  Values out;
  for (const c10::IValue& value : values) out.push_back(kept(value));
  return out;
}

/// What an operation gave when it was noted takes its new result. Results in place are where they belong already.
void put(const c10::IValue& fresh, const c10::IValue& place) {
  if (place.isTensorList()) {
    const auto from = fresh.toTensorVector(), to = place.toTensorVector();
    for (size_t i = 0; i < to.size(); ++i) put(from[i], to[i]);
  } else if (place.isTensor() && place.toTensor().defined() && !fresh.toTensor().is_alias_of(place.toTensor())) {
    move_numbers(fresh.toTensor(), place.toTensor());
  }
}

void compute(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const WithinOperation within;
  const int64_t before = g_waits, downloads_before = g_downloads;
  at::native::cpu_fallback(op, stack);
  g_waits = before, g_downloads = downloads_before;  // its own copies are not the engine's
}

void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto operands = torch::jit::last(*stack, op.schema().arguments().size());
  for (const c10::IValue& value : operands) {
    if (value.isTensor()) check(value.toTensor(), op);
    if (value.isTensorList())
      for (const Tensor& x : value.toTensorVector()) check(x, op);
  }
  if (!recording()) return compute(op, stack);
  Values in = kept(operands);
  compute(op, stack);
  record([op, in = std::move(in), out = kept(torch::jit::last(*stack, op.schema().returns().size()))] {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;  // where this operation was noted
    Values again = in;
    compute(op, &again);
    for (size_t i = 0; i < out.size(); ++i) put(again[i], out[i]);
  });
}

/// One device, one stream, on which everything happens at once.
struct Guard final : c10::impl::NoOpDeviceGuardImpl<at::kPrivateUse1> {
  at::Device getDevice() const override { return kOther; }
  at::Device exchangeDevice(at::Device) const override { return kOther; }
  c10::Stream getStream(at::Device) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, kOther); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, kOther); }
  void record(void**, const c10::Stream&, at::DeviceIndex, c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
};
C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard)

/// What the backward pass asks of the device.
struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(at::DeviceIndex) const override { return true; }
  at::DeviceIndex deviceCount() const override { return 1; }
  at::DeviceIndex getCurrentDevice() const override { return 0; }
  const at::Generator& getDefaultGenerator(at::DeviceIndex) const override {
    return at::detail::getDefaultCPUGenerator();
  }
  c10::Allocator* getPinnedMemoryAllocator() const override { return c10::GetAllocator(at::kCPU); }
  void resizePrivateUse1Bytes(const c10::Storage& storage, size_t bytes) const override {
    c10::DataPtr fresh = g_allocator.allocate(bytes);
    std::memcpy(fresh.get(), storage.data(), std::min(bytes, storage.nbytes()));
    storage.unsafeGetStorageImpl()->set_data_ptr_noswap(std::move(fresh));
    storage.unsafeGetStorageImpl()->set_nbytes(bytes);
  }
};
Hooks g_hooks;
const bool g_device_registered =
    (c10::register_privateuse1_backend("other"), at::RegisterPrivateUse1HooksInterface(&g_hooks), true);

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>()); }

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", &empty);
  m.impl("empty_strided", &empty_strided);
  m.impl("_copy_from", &copy_from);
  m.impl("_copy_from_and_resize", &copy_from_and_resize);
  m.impl("_local_scalar_dense", &local_scalar);
  m.impl("as_strided", &at::native::as_strided_tensorimpl);
  m.impl("unfold", &at::native::unfold);
  m.impl("view", &at::native::view);
  m.impl("_reshape_alias", &at::native::_reshape_alias);
  m.impl("resize_", &resize);
  m.impl("set_.source_Storage_storage_offset", &set_storage);
}

}  // namespace

int64_t waits() { return g_waits; }
int64_t downloads() { return g_downloads; }

}  // namespace ingrain::test
