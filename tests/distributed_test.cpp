// What ranks are without MPI: who started them, how work is shared, one process alone. tests/python/test_distributed.py
// has several processes.
#include "base/error.h"
#include "base/shared_file.h"
#include "distributed/launch.h"
#include "scratch.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>

namespace ingrain::distributed {
namespace {

Launch launch_with(const std::map<std::string, std::string>& environment) {
  return launch_of([&](const char* name) -> const char* {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

TEST(Distributed, the_launcher_is_known_by_its_environment) {
  EXPECT_EQ(launch_with({}).ranks, 1);
  const Launch open_mpi = launch_with({{"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "3"}});
  EXPECT_EQ(open_mpi.launcher, "mpirun");
  EXPECT_EQ(open_mpi.ranks, 4);
  EXPECT_EQ(open_mpi.local_rank, 3);
  const std::map<std::string, std::string> of_slurm{{"SLURM_NTASKS", "8"}, {"SLURM_PROCID", "0"}};
  EXPECT_EQ(launch_with(of_slurm).ranks, 1) << "a batch script is no step of srun";
  std::map<std::string, std::string> step = of_slurm;
  step["SLURM_STEP_NUM_TASKS"] = "8", step["SLURM_LOCALID"] = "2";
  EXPECT_EQ(launch_with(step).launcher, "srun");
  EXPECT_EQ(launch_with(step).ranks, 8);
  EXPECT_EQ(launch_with(step).local_rank, 2);
  EXPECT_FALSE(launch_with(step).meets) << "srun without --mpi=pmix";
  step["PMIX_RANK"] = "0";
  EXPECT_TRUE(launch_with(step).meets);
  step["OMPI_COMM_WORLD_SIZE"] = "16";
  EXPECT_EQ(launch_with(step).ranks, 16) << "mpirun within an allocation";
  EXPECT_EQ(launch_with({{"OMPI_COMM_WORLD_SIZE", "1"}}).launcher, "");
  EXPECT_EQ(launch_with({{"OMPI_COMM_WORLD_SIZE", "-4"}}).ranks, 1);
  EXPECT_EQ(launch_with({{"OMPI_COMM_WORLD_SIZE", "99999999999999"}}).ranks, 1);
}

TEST(Distributed, parts_are_of_whole_units_and_cover_everything) {
  for (const uint64_t count : {0u, 1u, 16u, 17u, 160u, 161u, 1000u}) {
    for (const int ranks : {1, 2, 3, 7}) {
      uint64_t end = 0;
      for (const Part& part : parts_of(count, 16, ranks)) {
        EXPECT_EQ(part.begin, end);
        EXPECT_TRUE(part.size == 0 || part.begin % 16 == 0);
        end = part.begin + part.size;
      }
      EXPECT_EQ(end, count) << ranks;
    }
  }
}

TEST(Distributed, who_is_alone_hears_itself_and_sends_nothing) {
  Communicator& one = alone();
  EXPECT_TRUE(one.alone() && one.first());
  EXPECT_EQ(one.gather_texts("hello"), std::vector<std::string>{"hello"});
  const int numbers[] = {3, 4};
  EXPECT_EQ(one.gather_numbers<int>(numbers), (std::vector<int>{3, 4}));
  EXPECT_TRUE(one.any(true));
  EXPECT_FALSE(one.any(false));
  EXPECT_EQ(one.traffic().bytes_sent, 0u);
  EXPECT_THROW(together(one, [] { throw Error("no"); }), Error);
  EXPECT_EQ(&join({}), &one);
}

using SharedFiles = ScratchTest;

TEST_F(SharedFiles, several_writers_make_one_file_that_appears_whole_or_not_at_all) {
  const auto path = dir_ / "x";
  {
    SharedFile first = SharedFile::make(path, 6);
    SharedFile other = SharedFile::join(first.unfinished());
    other.write_at(3, "def", 3);
    other.flush();
    first.write_at(0, "abc", 3);
    EXPECT_FALSE(std::filesystem::exists(path));
    first.commit();
  }
  std::ifstream file(path);
  std::string text;
  std::getline(file, text);
  EXPECT_EQ(text, "abcdef");
  std::filesystem::path unfinished;
  {
    const SharedFile left = SharedFile::make(dir_ / "y", 6);
    unfinished = left.unfinished();
    EXPECT_TRUE(std::filesystem::exists(unfinished));
  }
  EXPECT_FALSE(std::filesystem::exists(unfinished)) << "who does not commit leaves nothing";
  EXPECT_FALSE(std::filesystem::exists(dir_ / "y"));
  EXPECT_THROW(SharedFile::join(dir_ / "nothing"), Error);
}

}  // namespace
}  // namespace ingrain::distributed
