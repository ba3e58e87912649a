#include "distributed/launch.h"

#include "base/error.h"
#include "base/whole_number.h"
#include "distributed/module.h"
#include "distributed/mpi_calls.h"
#include "distributed/watch.h"

#include <cstdlib>

namespace ingrain::distributed {
namespace {

constexpr const char* kMpiModule = "libingrain_mpi.so";

const IngrainMpiCalls& open_mpi(const Launch& launch) {
  constexpr const char* kRemedy =
      "install Open MPI (Debian, Ubuntu: apt install openmpi-bin libopenmpi-dev) and build again, or start one process "
      "without a launcher";
  const std::filesystem::path path = find_module(kMpiModule, "INGRAIN_MPI");
  require(!path.empty(), "{} started {} processes, but this build has no {}: no MPI was found when it was made; {}",
          launch.launcher, launch.ranks, kMpiModule, kRemedy);
  const auto calls = reinterpret_cast<IngrainMpi>(open_module(path, "ingrain_mpi", kRemedy));
  require(calls && calls()->version == kIngrainMpiVersion, "{}: belongs to another version of ingrain; build again",
          path.string());
  return *calls();
}

class Mpi final : public Communicator {
 public:
  explicit Mpi(const Launch& launch) : calls_(open_mpi(launch)) {
    // Open MPI would end the process here, saying that it must be built again.
    require(launch.meets,
            "{} started {} processes without telling them how to find each other; start them with srun --mpi=pmix",
            launch.launcher, launch.ranks);
    check(calls_.begin(&rank_, &ranks_));
    require(ranks_ == launch.ranks,
            "{} started {} processes, but MPI knows of {}: they do not find each other; use the mpirun of the MPI that "
            "ingrain was built with (with srun: --mpi=pmix)",
            launch.launcher, launch.ranks, ranks_);
    watch_ = std::make_unique<Watch>(*this);
  }

  int rank() const override { return rank_; }
  int ranks() const override { return ranks_; }

  void finish() override {
    meet();
    watch_->leave();
    meet();  // nobody's connections end before everybody has said so
    check(calls_.end());
  }
  void fail(const std::string& why) override {
    if (watch_) watch_->fail(why);
  }

 private:
  void check(const char* error) const {
    if (error) ingrain::fail("rank {}: communication failed: {}", rank_, error);
  }
  void do_gather(std::byte* data, Parts parts_R) override {
    const Places places(parts_R);
    check(calls_.gather(data, places.begins.data(), places.sizes.data()));
  }
  uint64_t do_begin_exchange(const std::byte* out, Parts out_R, std::byte* in, Parts in_R) override {
    const Places from(out_R), to(in_R);
    uint64_t exchange = 0;
    check(calls_.begin_exchange(out, from.begins.data(), from.sizes.data(), in, to.begins.data(), to.sizes.data(),
                                &exchange));
    return exchange;
  }
  bool do_end_exchange(uint64_t exchange, bool wait) override {
    int ended = 0;
    check(calls_.end_exchange(exchange, wait ? 1 : 0, &ended));
    return ended != 0;
  }

  const IngrainMpiCalls& calls_;
  int rank_ = 0, ranks_ = 1;
  std::unique_ptr<Watch> watch_;
};

}  // namespace

Launch launch_of(const std::function<const char*(const char*)>& variable) {
  const auto number = [&](const char* name) {
    const char* const text = variable(name);
    return text ? whole_number<int>(text, 0).value_or(0) : 0;
  };
  struct Known {
    const char *launcher, *ranks, *local_rank;
  };
  // srun's last: mpirun within an allocation of Slurm sets its own, too. A batch script outside of srun has no step.
  for (const Known& known :
       {Known{"mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"},
        Known{"mpirun", "PMI_SIZE", "MPI_LOCALRANKID"}, Known{"srun", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"}})
    if (number(known.ranks) > 1)
      return {known.launcher, number(known.ranks), number(known.local_rank),
              known.launcher != std::string("srun") || variable("PMIX_RANK")};
  return {};
}

Launch this_launch() {
  return launch_of([](const char* name) { return std::getenv(name); });
}

Communicator& join(const Launch& launch) {
  if (launch.ranks == 1) return alone();
  static Mpi all(launch);
  return all;
}

}  // namespace ingrain::distributed
