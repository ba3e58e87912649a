# libingrain_mpi.so: what several ranks of a training run use to talk (src/distributed/mpi_calls.h). A module that the
# program opens where a launcher has started several processes; made where an MPI is found, and nothing else is linked with it.
set(MPI_CXX_SKIP_MPICXX ON)
find_package(MPI QUIET COMPONENTS CXX)
message(STATUS "MPI module: ${MPI_CXX_FOUND} ${MPI_CXX_VERSION}")
if(MPI_CXX_FOUND)
  add_library(ingrain_mpi MODULE src/distributed/mpi/module.cpp)
  target_include_directories(ingrain_mpi PRIVATE src)
  target_link_libraries(ingrain_mpi PRIVATE MPI::MPI_CXX ingrain_warnings)
  set_target_properties(ingrain_mpi PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/src/cli
    CXX_VISIBILITY_PRESET hidden)
endif()
