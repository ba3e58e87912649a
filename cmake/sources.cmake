# Source files belong to their folder: a new file or folder is built without being named anywhere.

# _ingrain_group(SOURCES FOLDER): which of them a unity build compiles together: about ten of a folder, chosen by their
# names, so that a new file moves no other. Kernels that Highway compiles once per instruction set (they include themselves
# again) stay alone, as does what a test program replaces.
function(_ingrain_group sources folder)
  list(LENGTH sources count)
  math(EXPR groups "${count} / 10 + 1")
  foreach(source IN LISTS sources)
    file(STRINGS ${source} again REGEX "foreach_target.h" LIMIT_COUNT 1)
    if(again OR source MATCHES "/ops/(backend|unbuilt_backends).cpp$|/bench/machine.cpp$")
      set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    else()
      file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR}/src ${source})
      string(MD5 hash ${name})
      string(SUBSTRING ${hash} 0 6 hash)
      math(EXPR group "0x${hash} % ${groups}")
      set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${folder}_${group})
    endif()
  endforeach()
endfunction()

# ingrain_folders(TARGET FOLDER...): the .cpp files of these folders of src/, with those of folders within.
function(ingrain_folders target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD_MODE GROUP)
  foreach(folder IN LISTS ARGN)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.cpp)
    list(FILTER sources EXCLUDE REGEX "/model/(config|config_json|no_gpus)\\.cpp$")
    _ingrain_group("${sources}" ${folder})
    target_sources(${target} PRIVATE ${sources})
  endforeach()
endfunction()

# ingrain_operations(TARGET): src/ops, by convention. Where CUDA is linked, the engine has each operation's cuda.cu and
# cuda.cpp (or what lies in its folder cuda/); elsewhere ops/unbuilt_backends.cpp stands in for them.
function(ingrain_operations target)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/ops/*.cpp)
  file(GLOB_RECURSE cuda CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/ops/*.cu)
  set(cuda_tensors ${sources})
  list(FILTER cuda_tensors INCLUDE REGEX "/cuda(/[^/]*)?\\.cpp$|/cuda/[^/]*\\.cpp$")
  list(REMOVE_ITEM sources ${cuda_tensors} ${CMAKE_SOURCE_DIR}/src/ops/unbuilt_backends.cpp)
  _ingrain_group("${sources}" ops)
  target_sources(${target} PRIVATE ${sources})
  ingrain_cuda_sources(LINKED ${cuda} ${cuda_tensors} OTHERWISE ${CMAKE_SOURCE_DIR}/src/ops/unbuilt_backends.cpp)
endfunction()
