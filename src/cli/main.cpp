#include "cli/program.h"

int main(int argc, char** argv) { ingrain::cli::run_program("ingrain " INGRAIN_VERSION, argc, argv); }
