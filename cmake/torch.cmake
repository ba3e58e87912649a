# libtorch as one interface target. torch's own TorchConfig.cmake drags in a CUDA toolkit even where only
# the C++ side is used, so the folder is read directly: headers, libraries, and whether it has CUDA.
set(_torch_lib ${INGRAIN_TORCH_FOLDER}/lib)
add_library(ingrain_torch INTERFACE)
target_include_directories(ingrain_torch SYSTEM INTERFACE
  ${INGRAIN_TORCH_FOLDER}/include ${INGRAIN_TORCH_FOLDER}/include/torch/csrc/api/include)
# Its headers then declare no operation that nobody asks for (src/ops/aten.h).
target_compile_definitions(ingrain_torch INTERFACE AT_PER_OPERATOR_HEADERS)
# What libtorch itself needs (CUDA's libraries in sibling packages) it finds through its own run paths.
target_link_options(ingrain_torch INTERFACE -Wl,-rpath,${_torch_lib} -Wl,--no-as-needed -Wl,--allow-shlib-undefined)
# libstdc++ before it: some of torch's wheels (2.11 with CUDA) export std::filesystem functions of another compiler, which
# crash when ours are bound to them.
target_link_libraries(ingrain_torch INTERFACE stdc++ ${_torch_lib}/libtorch.so ${_torch_lib}/libtorch_cpu.so ${_torch_lib}/libc10.so)

# at::parallel_for is inline and runs on one thread unless compiled with OpenMP. It must be torch's own
# OpenMP library: a second one would have a second pool of threads.
file(GLOB _torch_openmp ${_torch_lib}/libgomp*.so* ${INGRAIN_TORCH_FOLDER}/../torch.libs/libgomp*.so*)
list(APPEND _torch_openmp gomp)
list(GET _torch_openmp 0 _torch_openmp)
target_compile_options(ingrain_torch INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fopenmp>)
target_link_libraries(ingrain_torch INTERFACE ${_torch_openmp})

set(INGRAIN_TORCH_HAS_CUDA OFF)
if(EXISTS ${_torch_lib}/libtorch_cuda.so)
  set(INGRAIN_TORCH_HAS_CUDA ON)
  target_link_libraries(ingrain_torch INTERFACE ${_torch_lib}/libtorch_cuda.so ${_torch_lib}/libc10_cuda.so)
endif()
