#include "cli/program.h"

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  const int status = ingrain::cli::run_program("ingrain " INGRAIN_VERSION, argc, argv);
  std::fflush(nullptr);
  // Nothing of ours waits for the process's end, and libtorch takes 80 ms for it.
  std::_Exit(status);
}
