# Source files belong to their folder: a new file or folder is built without being named anywhere.

# _ingrain_group(SOURCES FOLDER): which of them a unity build compiles together: about a dozen of a folder, chosen by their
# names, so that a new file moves no other. Larger groups would be a quicker first build, and a slower first change: what
# else is in a file's group is then compiled again. Kernels that Highway compiles once per instruction set (they include
# themselves again) stay alone, as does what a test program replaces. What includes torch's reverse mode is compiled
# together: its headers take seconds.
#
# What somebody works on stays alone, too: ./ingrain lists in loose-sources.txt what has changed since the first build, so
# that the next change of a file compiles that file only.
set(_loose_list ${PROJECT_BINARY_DIR}/loose-sources.txt)
if(NOT EXISTS ${_loose_list})
  file(TOUCH ${_loose_list})
endif()
file(STRINGS ${_loose_list} _loose_sources)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${_loose_list})

function(_ingrain_group sources folder)
  list(LENGTH sources count)
  math(EXPR groups "${count} / 12 + 1")
  foreach(source IN LISTS sources)
    file(STRINGS ${source} again REGEX "foreach_target.h" LIMIT_COUNT 1)
    file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR} ${source})
    if(again OR name IN_LIST _loose_sources OR source MATCHES "/base/fmt_library.cpp$|/ops/backend.cpp$|/ops/graph/no_cuda.cpp$|/bench/machine.cpp$")
      set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    else()
      file(STRINGS ${source} autograd REGEX "^#include <torch/csrc/autograd/" LIMIT_COUNT 1)
      if(autograd)
        set_source_files_properties(${source} PROPERTIES UNITY_GROUP autograd)
        continue()
      endif()
      file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR}/src ${source})
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
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${folder}/*.cpp)
    list(FILTER sources EXCLUDE REGEX "/model/(config|config_json|no_gpus|mixers/.*/sizes)\\.cpp$")
    list(FILTER sources EXCLUDE REGEX "/distributed/(mpi|nccl)/|/serve/store/sqlite\\.cpp$")
    string(REPLACE "/" "_" group ${folder})
    _ingrain_group("${sources}" ${group})
    target_sources(${target} PRIVATE ${sources})
  endforeach()
endfunction()

# ingrain_share_header(PROGRAM LIBRARY): the program uses the library's precompiled header, so it must be compiled as
# position-independent as that is (-fPIC; a program's own is -fPIE).
function(ingrain_share_header program library)
  target_compile_options(${program} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fPIC>)
  target_precompile_headers(${program} REUSE_FROM ${library})
endfunction()
