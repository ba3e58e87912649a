# Every library from outside, as interface targets. Where it comes from:
#   INGRAIN_TORCH  torch; default: the environment's INGRAIN_TORCH, then the .venv that ./ingrain makes
#   INGRAIN_DEPS   everything else; default: the environment's INGRAIN_DEPS, then the system
if(INGRAIN_ENGINE AND NOT INGRAIN_FUZZ)
  include(cmake/torch_folder.cmake)
endif()
if(NOT INGRAIN_DEPS AND DEFINED ENV{INGRAIN_DEPS})
  set(INGRAIN_DEPS "$ENV{INGRAIN_DEPS}")
endif()
if(INGRAIN_DEPS)
  get_filename_component(INGRAIN_DEPS "${INGRAIN_DEPS}" ABSOLUTE)
endif()

find_program(INGRAIN_CCACHE ccache)
if(INGRAIN_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # A precompiled header and ccache agree only with these.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1 CCACHE_DEPEND=1 ${INGRAIN_CCACHE})
  add_compile_options($<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fpch-preprocess>)
endif()

if(INGRAIN_SANITIZE)
  add_compile_options(-fsanitize=${INGRAIN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=${INGRAIN_SANITIZE})
endif()

# ingrain_find_library(z z): the target ingrain_lib_z. A bundle holds all of them or is incomplete:
# a mixture with the system's libraries would only seem to work.
function(ingrain_find_library name library)
  if(INGRAIN_DEPS)
    find_library(INGRAIN_LIB_${name} NAMES ${library} PATHS ${INGRAIN_DEPS}/lib NO_DEFAULT_PATH)
    set(remedy "make the bundle anew: ./ingrain bundle DIR")
  else()
    find_library(INGRAIN_LIB_${name} NAMES ${library})
    set(remedy "./ingrain setup installs it (cmake/packages.txt)")
  endif()
  if(NOT INGRAIN_LIB_${name})
    message(FATAL_ERROR "library '${library}' was not found in '${INGRAIN_DEPS}'; ${remedy}")
  endif()
  add_library(ingrain_lib_${name} INTERFACE)
  target_link_libraries(ingrain_lib_${name} INTERFACE ${INGRAIN_LIB_${name}})
endfunction()

find_package(Threads REQUIRED)

# zlib, zstd: compressed JSONL. PCRE2: the tokenizers' split patterns. nlohmann-json: every JSON.
# fmt: torch's headers hold one, and a program must not hold two; without the engine it is the system's, so that parsers and
# their tests need no torch. Either way src/base/fmt_library.cpp compiles it, once.
ingrain_find_library(z z)
ingrain_find_library(zstd zstd)
# utf8proc: Unicode normal forms.
ingrain_find_library(pcre2 pcre2-8)
ingrain_find_library(utf8proc utf8proc)
add_library(ingrain_base_dependencies INTERFACE)
if(INGRAIN_DEPS)
  target_include_directories(ingrain_base_dependencies SYSTEM INTERFACE ${INGRAIN_DEPS}/include)
endif()
if(INGRAIN_TORCH_FOLDER)
  target_include_directories(ingrain_base_dependencies SYSTEM INTERFACE ${INGRAIN_TORCH_FOLDER}/include)
endif()
target_compile_definitions(ingrain_base_dependencies INTERFACE PCRE2_CODE_UNIT_WIDTH=8)
target_link_libraries(ingrain_base_dependencies INTERFACE ingrain_lib_z ingrain_lib_zstd ingrain_lib_pcre2 ingrain_lib_utf8proc Threads::Threads)

# The server: SQLite, Boost's headers (Beast), and libpq where it is. A bundle, whose libraries are static, goes without libpq.
ingrain_find_library(sqlite3 sqlite3)
add_library(ingrain_serve_dependencies INTERFACE)
target_link_libraries(ingrain_serve_dependencies INTERFACE ingrain_lib_sqlite3 ${CMAKE_DL_LIBS})
find_library(INGRAIN_LIBPQ pq)
find_path(INGRAIN_LIBPQ_INCLUDE libpq-fe.h PATH_SUFFIXES postgresql)
if(INGRAIN_LIBPQ AND INGRAIN_LIBPQ_INCLUDE AND NOT INGRAIN_DEPS)
  target_compile_definitions(ingrain_serve_dependencies INTERFACE INGRAIN_LIBPQ=1)
  target_include_directories(ingrain_serve_dependencies SYSTEM INTERFACE ${INGRAIN_LIBPQ_INCLUDE})
  target_link_libraries(ingrain_serve_dependencies INTERFACE ${INGRAIN_LIBPQ})
endif()

if(INGRAIN_ENGINE AND NOT INGRAIN_FUZZ)
  include(cmake/torch.cmake)
  include(cmake/cuda.cmake)
  # Highway: CPU kernels with run-time dispatch.
  ingrain_find_library(hwy hwy)
  add_library(ingrain_engine_dependencies INTERFACE)
  target_link_libraries(ingrain_engine_dependencies INTERFACE ingrain_lib_hwy)
endif()
