# CUDA kernels. Three situations, decided here once:
#   nvcc, and a torch with CUDA   the .cu files are part of the engine
#   nvcc, torch without CUDA      the target cuda_compile_check compiles them; nothing is linked
#   no nvcc                       they are left alone
# Where they are not linked, the reference formulas stand in for them, which run anywhere (operations.cmake).
option(INGRAIN_CUDA "Compile the CUDA kernels where nvcc is found" ON)

set(INGRAIN_CUDA_LINKED OFF)
set(INGRAIN_CUDA_CHECKED OFF)
if(INGRAIN_CUDA)
  include(CheckLanguage)
  check_language(CUDA)
endif()
if(INGRAIN_CUDA AND CMAKE_CUDA_COMPILER)
  # The same libcudart as torch's: with a static one, one process would hold two.
  set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES "80-real;90" CACHE STRING "Compute capabilities: A100, H100, newer through PTX")
  endif()
  enable_language(CUDA)
  find_package(CUDAToolkit REQUIRED)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    # CMake 3.25.1, Debian 12's, does not know that nvcc has C++20.
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  # Profilers and compute-sanitizer name source lines.
  add_compile_options($<$<COMPILE_LANGUAGE:CUDA>:-lineinfo>)
  if(INGRAIN_TORCH_HAS_CUDA)
    set(INGRAIN_CUDA_LINKED ON)
    # torch's CUDA headers want cuBLAS's and others': the toolkit's, or those that came with torch's wheel.
    file(GLOB _cuda_wheel_includes ${INGRAIN_TORCH_FOLDER}/../nvidia/cu*/include)
    target_include_directories(ingrain_torch SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS} ${_cuda_wheel_includes})
  else()
    set(INGRAIN_CUDA_CHECKED ON)
  endif()
endif()
message(STATUS "CUDA kernels: linked ${INGRAIN_CUDA_LINKED}, compile check ${INGRAIN_CUDA_CHECKED}")

function(_ingrain_check_cuda_source source)
  if(NOT TARGET cuda_compile_check)
    add_library(cuda_compile_check OBJECT EXCLUDE_FROM_ALL)
    target_link_libraries(cuda_compile_check PRIVATE ingrain_base_dependencies)
    target_include_directories(cuda_compile_check PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)
    target_include_directories(cuda_compile_check SYSTEM PRIVATE
      ${INGRAIN_TORCH_FOLDER}/include/torch/csrc/api/include)
    # For the oldest GPU alone: no kernel asks for which it is compiled, and each costs ptxas as much again.
    list(GET CMAKE_CUDA_ARCHITECTURES 0 oldest)
    set_target_properties(cuda_compile_check PROPERTIES CUDA_ARCHITECTURES ${oldest})
    # Device code alone; tests/cuda_on_cpu compiles the host's. That is a third less to compile. Nobody runs it: what the compiler takes
    # is known without most of its optimisation, in a quarter of the time.
    target_compile_options(cuda_compile_check PRIVATE -cubin "SHELL:-Xcicc -O1")
    # A torch without CUDA lacks the header that torch's build generates for CUDA.
    target_compile_definitions(cuda_compile_check PRIVATE C10_CUDA_NO_CMAKE_CONFIGURE_FILE)
  endif()
  target_sources(cuda_compile_check PRIVATE ${source})
endfunction()

# ingrain_cuda_sources(LINKED a.cu a.cpp ... OTHERWISE none.cpp ...), whole paths: what the engine consists of where CUDA is linked, and
# where it is not. The .cu files hold the kernels; the .cpp files, which have the tensors, need no CUDA header. The global property
# INGRAIN_CUDA_SOURCES lists the first ones with their whole paths, for tests/cuda_on_cpu.
function(ingrain_cuda_sources)
  cmake_parse_arguments(_arg "" "" "LINKED;OTHERWISE" ${ARGN})
  set_property(GLOBAL APPEND PROPERTY INGRAIN_CUDA_SOURCES ${_arg_LINKED})
  if(INGRAIN_CUDA_LINKED)
    target_sources(ingrain_engine PRIVATE ${_arg_LINKED})
    target_link_libraries(ingrain_engine PRIVATE CUDA::cudart)
    return()
  endif()
  target_sources(ingrain_engine PRIVATE ${_arg_OTHERWISE})
  if(INGRAIN_CUDA_CHECKED)
    list(FILTER _arg_LINKED INCLUDE REGEX "\\.cu$")
    foreach(source IN LISTS _arg_LINKED)
      _ingrain_check_cuda_source(${source})
    endforeach()
  endif()
endfunction()
