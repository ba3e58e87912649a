# Every library from outside, as interface targets. INGRAIN_DEPS (a bundle) takes precedence over the system.
set(INGRAIN_DEPS_INCLUDE "")
if(INGRAIN_DEPS)
  set(INGRAIN_DEPS_INCLUDE "${INGRAIN_DEPS}/include")
  list(PREPEND CMAKE_LIBRARY_PATH "${INGRAIN_DEPS}/lib")
  list(PREPEND CMAKE_INCLUDE_PATH "${INGRAIN_DEPS}/include")
endif()

if(CMAKE_CXX_COMPILER_LAUNCHER STREQUAL "" OR NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(INGRAIN_CCACHE ccache)
  if(INGRAIN_CCACHE)
    # A precompiled header and ccache agree only with these.
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
        CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
        CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${INGRAIN_CCACHE})
    add_compile_options(-fpch-preprocess)
  endif()
endif()

if(INGRAIN_SANITIZE)
  add_compile_options(-fsanitize=${INGRAIN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=${INGRAIN_SANITIZE})
endif()

function(ingrain_find_library name library)
  find_library(INGRAIN_LIB_${name} NAMES ${library} REQUIRED)
  add_library(ingrain_lib_${name} INTERFACE)
  target_link_libraries(ingrain_lib_${name} INTERFACE ${INGRAIN_LIB_${name}})
endfunction()

find_package(Threads REQUIRED)
find_path(INGRAIN_TORCH_PACKAGE NAMES include/fmt/format.h PATHS ${INGRAIN_TORCH} NO_DEFAULT_PATH)
if(NOT INGRAIN_TORCH_PACKAGE)
  message(FATAL_ERROR "INGRAIN_TORCH='${INGRAIN_TORCH}' is no folder of torch (include/, lib/). "
          "Run ./ingrain, which sets it up, or pass -DINGRAIN_TORCH=DIR.")
endif()

# zlib, zstd: compressed JSONL. PCRE2: the tokenizers' split patterns. nlohmann-json: every JSON.
ingrain_find_library(z z)
ingrain_find_library(zstd zstd)
ingrain_find_library(pcre2 pcre2-8)
add_library(ingrain_base_dependencies INTERFACE)
target_include_directories(ingrain_base_dependencies SYSTEM INTERFACE ${INGRAIN_DEPS_INCLUDE} ${INGRAIN_TORCH_PACKAGE}/include)
target_compile_definitions(ingrain_base_dependencies INTERFACE FMT_HEADER_ONLY=1 PCRE2_CODE_UNIT_WIDTH=8)
target_link_libraries(ingrain_base_dependencies INTERFACE ingrain_lib_z ingrain_lib_zstd ingrain_lib_pcre2 Threads::Threads)

if(INGRAIN_ENGINE AND NOT INGRAIN_FUZZ)
  include(cmake/torch.cmake)
  # Highway: CPU kernels with run-time dispatch.
  ingrain_find_library(hwy hwy)
  add_library(ingrain_engine_dependencies INTERFACE)
  target_link_libraries(ingrain_engine_dependencies INTERFACE ingrain_lib_hwy)
endif()
