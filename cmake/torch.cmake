# libtorch as one interface target. torch's own TorchConfig.cmake drags in a CUDA toolkit even where only
# the C++ side is used, so the folder is read directly: headers, libraries, and whether it has CUDA.
add_library(ingrain_torch INTERFACE)
target_include_directories(ingrain_torch SYSTEM INTERFACE
  ${INGRAIN_TORCH_PACKAGE}/include ${INGRAIN_TORCH_PACKAGE}/include/torch/csrc/api/include)
set(_torch_lib ${INGRAIN_TORCH_PACKAGE}/lib)
target_link_directories(ingrain_torch INTERFACE ${_torch_lib})
target_link_options(ingrain_torch INTERFACE -Wl,-rpath,${_torch_lib} -Wl,--no-as-needed)
target_link_libraries(ingrain_torch INTERFACE ${_torch_lib}/libtorch.so ${_torch_lib}/libtorch_cpu.so ${_torch_lib}/libc10.so)

set(INGRAIN_TORCH_HAS_CUDA OFF)
if(EXISTS ${_torch_lib}/libtorch_cuda.so)
  set(INGRAIN_TORCH_HAS_CUDA ON)
endif()
