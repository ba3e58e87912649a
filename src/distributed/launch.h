// Who started this process, and with how many others.
#pragma once

#include "distributed/communicator.h"

namespace ingrain::distributed {

/// What mpirun or srun says in the environment.
struct Launch {
  std::string launcher;  // "mpirun", "srun"; empty: nobody, one process
  int ranks = 1;
  int local_rank = 0;  // among the ranks of its machine: its GPU's number
  bool meets = true;   // the launcher tells MPI how its processes find each other (PMIx)
};

/// `variable` is getenv, or a test's.
Launch launch_of(const std::function<const char*(const char*)>& variable);
Launch this_launch();

/// The communicator of this launch: alone() where there is one process; else Open MPI's by libingrain_mpi.so, with a
/// watch over the other ranks (watch.h). Error, with what to install, if the module or its library is missing, or if
/// the launcher started more processes than MPI knows of, or leaves them without a way to find each other. Of a process
/// there is one, whichever launch is named first.
Communicator& join(const Launch& launch);

}  // namespace ingrain::distributed
