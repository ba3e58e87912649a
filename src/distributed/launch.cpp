#include "distributed/launch.h"

#include "base/error.h"
#include "base/whole_number.h"
#include "distributed/mpi_calls.h"
#include "distributed/watch.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>

namespace ingrain::distributed {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModule = "libingrain_mpi.so";

/// Beside the program, in the folder of an installation, or where INGRAIN_MPI says.
fs::path find_module() {
  if (const char* given = std::getenv("INGRAIN_MPI"); given && *given) return given;
  std::error_code unknown;
  const fs::path here = fs::read_symlink("/proc/self/exe", unknown).parent_path();
  for (const fs::path& place : {here / kModule, here / ".." / "lib" / "ingrain" / kModule})
    if (fs::exists(place, unknown)) return place;
  return {};
}

const IngrainMpiCalls& open_module(const Launch& launch) {
  constexpr const char* kRemedy =
      "install Open MPI (Debian, Ubuntu: apt install openmpi-bin libopenmpi-dev) and build again, or start one process "
      "without a launcher";
  const fs::path path = find_module();
  require(!path.empty(), "{} started {} processes, but this build has no {}: no MPI was found when it was made; {}",
          launch.launcher, launch.ranks, kModule, kRemedy);
  // MPI libraries open their own plugins, which look for the library's symbols among the global ones.
  void* const module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!module) {
    const char* const why = ::dlerror();
    fail("{}: cannot be opened: {}; {}", path.string(), why ? why : "no reason given", kRemedy);
  }
  const auto calls = reinterpret_cast<IngrainMpi>(::dlsym(module, "ingrain_mpi"));
  require(calls && calls()->version == kIngrainMpiVersion, "{}: belongs to another version of ingrain; build again",
          path.string());
  return *calls();
}

/// Parts as the module takes them.
struct Places {
  explicit Places(Parts parts_R) {
    for (const Part& part : parts_R) begins.push_back(part.begin), sizes.push_back(part.size);
  }
  std::vector<uint64_t> begins, sizes;
};

class Mpi final : public Communicator {
 public:
  explicit Mpi(const Launch& launch) : calls_(open_module(launch)) {
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
  void do_exchange(const std::byte* out, Parts out_R, std::byte* in, Parts in_R) override {
    const Places from(out_R), to(in_R);
    check(calls_.exchange(out, from.begins.data(), from.sizes.data(), in, to.begins.data(), to.sizes.data()));
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
