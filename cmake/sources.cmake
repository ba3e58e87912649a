# Source files belong to their folder: a new file or folder is built without being named anywhere.

# ingrain_folders(TARGET FOLDER...): the .cpp files of these folders of src/, with those of folders within. Kernels that
# Highway compiles once per instruction set (they include themselves again) stay alone in a unity build, too.
function(ingrain_folders target)
  foreach(folder IN LISTS ARGN)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.cpp)
    list(REMOVE_ITEM sources ${CMAKE_SOURCE_DIR}/src/model/config.cpp ${CMAKE_SOURCE_DIR}/src/model/no_gpus.cpp)
    foreach(source IN LISTS sources)
      file(STRINGS ${source} again REGEX "foreach_target.h" LIMIT_COUNT 1)
      if(again)
        set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
      endif()
    endforeach()
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
  foreach(source IN LISTS sources)
    file(STRINGS ${source} again REGEX "foreach_target.h" LIMIT_COUNT 1)
    if(again)
      set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
  endforeach()
  # tests/cuda_on_cpu puts its own in the place of these.
  set_source_files_properties(${CMAKE_SOURCE_DIR}/src/ops/backend.cpp ${CMAKE_SOURCE_DIR}/src/ops/unbuilt_backends.cpp
    PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  target_sources(${target} PRIVATE ${sources})
  ingrain_cuda_sources(LINKED ${cuda} ${cuda_tensors} OTHERWISE ${CMAKE_SOURCE_DIR}/src/ops/unbuilt_backends.cpp)
endfunction()
