# libingrain_nccl.so: how the GPUs of several ranks talk to each other (src/distributed/nccl_calls.h). A module that the program opens
# where ranks compute on GPUs; made where CUDA is linked and NCCL's header and library are: those that came with torch's wheel, which
# the process holds already, or the system's. What it does is tested without either (tests/nccl_on_cpu).
if(INGRAIN_CUDA_LINKED)
  find_path(INGRAIN_NCCL_INCLUDE nccl.h PATHS ${INGRAIN_TORCH_FOLDER}/../nvidia/nccl/include NO_DEFAULT_PATH)
  find_path(INGRAIN_NCCL_INCLUDE nccl.h)
  find_library(INGRAIN_NCCL_LIBRARY NAMES libnccl.so.2 nccl PATHS ${INGRAIN_TORCH_FOLDER}/../nvidia/nccl/lib NO_DEFAULT_PATH)
  find_library(INGRAIN_NCCL_LIBRARY NAMES libnccl.so.2 nccl)
endif()
if(INGRAIN_NCCL_INCLUDE AND INGRAIN_NCCL_LIBRARY)
  message(STATUS "NCCL module: ${INGRAIN_NCCL_LIBRARY}")
  add_library(ingrain_nccl MODULE src/distributed/nccl/module.cpp)
  target_include_directories(ingrain_nccl PRIVATE src)
  target_include_directories(ingrain_nccl SYSTEM PRIVATE ${INGRAIN_NCCL_INCLUDE} ${CUDAToolkit_INCLUDE_DIRS})
  target_link_libraries(ingrain_nccl PRIVATE ${INGRAIN_NCCL_LIBRARY} CUDA::cudart ingrain_warnings)
  set_target_properties(ingrain_nccl PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/src/cli CXX_VISIBILITY_PRESET hidden)
else()
  message(STATUS "NCCL module: none")
endif()
