#include "distributed/gpus.h"

#include "base/error.h"
#include "distributed/module.h"
#include "distributed/nccl_calls.h"

#include <cstdlib>

namespace ingrain::distributed {
namespace {

constexpr const char* kNcclModule = "libingrain_nccl.so";
constexpr const char* kWithoutNccl = "INGRAIN_NCCL=off sends through the host's memory by MPI";

class Nccl final : public Communicator {
 public:
  Nccl(Communicator& ranks, const IngrainNcclCalls& calls, int device, CurrentStream stream, const std::string& id)
      : ranks_(ranks), calls_(calls), stream_(std::move(stream)) {
    check(calls_.begin(ranks.rank(), ranks.ranks(), device, id.data(), &group_));
  }
  Nccl(const Nccl&) = delete;
  Nccl& operator=(const Nccl&) = delete;
  /// Not finished: others may never answer what is queued.
  ~Nccl() override {
    if (group_) calls_.abort(group_);
  }

  int rank() const override { return ranks_.rank(); }
  int ranks() const override { return ranks_.ranks(); }
  void finish() override { check(calls_.end(std::exchange(group_, nullptr))); }

 private:
  void check(const char* error) const {
    if (error) ingrain::fail("rank {}: communication between GPUs failed: {}; {}", rank(), error, kWithoutNccl);
  }
  void do_gather(std::byte* data, Parts parts_R) override {
    const Places places(parts_R);
    check(calls_.gather(group_, data, places.begins.data(), places.sizes.data(), stream_()));
  }
  uint64_t do_begin_exchange(const std::byte* out, Parts out_R, std::byte* in, Parts in_R) override {
    const Places from(out_R), to(in_R);
    uint64_t exchange = 0;
    check(calls_.begin_exchange(group_, out, from.begins.data(), from.sizes.data(), in, to.begins.data(),
                                to.sizes.data(), stream_(), &exchange));
    return exchange;
  }
  bool do_end_exchange(uint64_t exchange, bool wait) override {
    int ended = 0;
    check(calls_.end_exchange(group_, exchange, wait ? 1 : 0, stream_(), &ended));
    return ended != 0;
  }

  Communicator& ranks_;
  const IngrainNcclCalls& calls_;
  CurrentStream stream_;
  void* group_ = nullptr;
};

const IngrainNcclCalls& open_calls(const std::filesystem::path& path) {
  const auto calls = reinterpret_cast<IngrainNccl>(open_module(path, "ingrain_nccl", kWithoutNccl));
  require(calls && calls()->version == kIngrainNcclVersion, "{}: belongs to another version of ingrain; build again",
          path.string());
  return *calls();
}

}  // namespace

std::unique_ptr<Communicator> join_gpus(Communicator& ranks, const IngrainNcclCalls& calls, int device,
                                        const CurrentStream& stream) {
  std::string id(kIngrainNcclIdBytes, '\0');
  together(ranks, [&] {
    if (!ranks.first()) return;
    if (const char* error = calls.make_id(id.data()))
      fail("communication between GPUs failed: {}; {}", error, kWithoutNccl);
  });
  const std::string everyones = ranks.gather_texts(ranks.first() ? id : "")[0];
  std::unique_ptr<Communicator> out;
  together(ranks, [&] { out = std::make_unique<Nccl>(ranks, calls, device, stream, everyones); });
  return out;
}

std::unique_ptr<Communicator> join_gpus(Communicator& ranks, int device, const CurrentStream& stream,
                                        std::string& why_not) {
  const char* const asked = std::getenv("INGRAIN_NCCL");
  const std::filesystem::path path =
      asked && std::string(asked) == "off" ? std::filesystem::path() : find_module(kNcclModule, "INGRAIN_NCCL");
  if (ranks.any(path.empty())) {
    why_not = asked && std::string(asked) == "off" ? "INGRAIN_NCCL=off" : fmt::format("no {}", kNcclModule);
    return nullptr;
  }
  const IngrainNcclCalls* calls = nullptr;
  together(ranks, [&] { calls = &open_calls(path); });
  return join_gpus(ranks, *calls, device, stream);
}

}  // namespace ingrain::distributed
