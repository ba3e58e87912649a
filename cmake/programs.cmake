# The program and what it alone has: the benchmarks, apart from the engine that other programs link, and the commands.
add_library(ingrain_bench STATIC)
ingrain_folders(ingrain_bench bench)
ingrain_operation_benchmarks(ingrain_bench)
target_link_libraries(ingrain_bench PUBLIC ingrain_engine PRIVATE ingrain_warnings)
target_precompile_headers(ingrain_bench REUSE_FROM ingrain_engine)
add_custom_target(ingrain_commit
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR} -DOUTPUT=${PROJECT_BINARY_DIR}/generated/bench/commit.h
          -P ${PROJECT_SOURCE_DIR}/cmake/commit.cmake
  BYPRODUCTS ${PROJECT_BINARY_DIR}/generated/bench/commit.h)
add_dependencies(ingrain_bench ingrain_commit)
set_source_files_properties(${PROJECT_SOURCE_DIR}/src/bench/machine.cpp
  PROPERTIES INCLUDE_DIRECTORIES ${PROJECT_BINARY_DIR}/generated)

# What is measured of a model's abilities, and the comparison of models. Pages carry along the library that draws charts.
add_library(ingrain_study STATIC)
ingrain_folders(ingrain_study measures study)
target_link_libraries(ingrain_study PUBLIC ingrain_bench ingrain_engine PRIVATE ingrain_warnings)
target_precompile_headers(ingrain_study REUSE_FROM ingrain_engine)

# The server's engine: what lies between its APIs and the model. Its routes: what is done at an endpoint.
add_library(ingrain_serve_engine STATIC)
ingrain_folders(ingrain_serve_engine serve/engine serve/routes)
target_link_libraries(ingrain_serve_engine PUBLIC ingrain_serve ingrain_engine PRIVATE ingrain_warnings)
target_precompile_headers(ingrain_serve_engine REUSE_FROM ingrain_engine)

# The commands are a library, so that they share the engine's precompiled header.
add_library(ingrain_commands STATIC)
ingrain_folders(ingrain_commands cli)
get_target_property(_commands ingrain_commands SOURCES)
list(FILTER _commands EXCLUDE REGEX "/cli/(main|line_editor_[a-z]+)\\.cpp$")
set_target_properties(ingrain_commands PROPERTIES SOURCES "${_commands}")
# libedit gives `chat` line editing and history; without it lines are read as they come.
find_library(INGRAIN_LIBEDIT edit)
if(INGRAIN_LIBEDIT AND NOT INGRAIN_DEPS)
  target_sources(ingrain_commands PRIVATE src/cli/line_editor_libedit.cpp)
  target_link_libraries(ingrain_commands PRIVATE ${INGRAIN_LIBEDIT})
else()
  target_sources(ingrain_commands PRIVATE src/cli/line_editor_plain.cpp)
endif()
target_link_libraries(ingrain_commands PUBLIC ingrain_serve_engine ingrain_study ingrain_bench ingrain_engine PRIVATE ingrain_warnings)
target_compile_definitions(ingrain_commands PRIVATE INGRAIN_SOURCE_FOLDER="${PROJECT_SOURCE_DIR}" INGRAIN_SERVE_VERSION="${PROJECT_VERSION}")
target_precompile_headers(ingrain_commands REUSE_FROM ingrain_engine)
# Commands read options and print: a third of the compiler's time is not worth what -O2 does for that.
# So are the study and the server's engine and routes: what takes their time is the model's.
foreach(_library ingrain_commands ingrain_study ingrain_serve_engine)
  target_compile_options(${_library} PRIVATE $<$<CONFIG:RelWithDebInfo>:-O1>)
endforeach()

add_executable(ingrain_cli src/cli/main.cpp)
# The version is CMake's. (The package's is written in pyproject.toml and python/ingrain/__init__.py, which a test compares.)
target_compile_definitions(ingrain_cli PRIVATE INGRAIN_VERSION="${PROJECT_VERSION}")
set_target_properties(ingrain_cli PROPERTIES OUTPUT_NAME ingrain RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/src/cli)
target_link_libraries(ingrain_cli PRIVATE ingrain_commands ingrain_warnings)

# Its module for several processes is built with it.
include(cmake/mpi.cmake)
include(cmake/nccl.cmake)
foreach(_module ingrain_mpi ingrain_nccl)
  if(TARGET ${_module})
    add_dependencies(ingrain_cli ${_module})
  endif()
endforeach()
