# Run at every build (cmake -P): writes the commit of SOURCE into OUTPUT, and touches it only where it has changed.
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty=+ --exclude=*
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit "unknown")
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "// Made by cmake/commit.cmake.
#pragma once
namespace ingrain::bench {
inline constexpr const char* kCommit = \"@commit@\";
}
" @ONLY)
