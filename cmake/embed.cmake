# cmake -P: writes the files of FOLDER into OUTPUT, a C++ source with a table of them (src/serve/page/page.h).
cmake_minimum_required(VERSION 3.25)
file(GLOB files ${FOLDER}/*)
list(SORT files)
set(bytes "")
set(table "")
set(index 0)
foreach(file IN LISTS files)
  get_filename_component(name ${file} NAME)
  get_filename_component(extension ${file} LAST_EXT)
  if(extension STREQUAL ".html")
    set(type "text/html; charset=utf-8")
  elseif(extension STREQUAL ".css")
    set(type "text/css; charset=utf-8")
  elseif(extension STREQUAL ".js")
    set(type "text/javascript; charset=utf-8")
  elseif(extension STREQUAL ".svg")
    set(type "image/svg+xml")
  else()
    message(FATAL_ERROR "${file}: no content type is known for '${extension}'; name it in cmake/embed.cmake")
  endif()
  if(name STREQUAL "index.html")
    set(path "/")
  else()
    set(path "/page/${name}")
  endif()
  file(READ ${file} hex HEX)
  file(SHA256 ${file} hash)
  string(SUBSTRING ${hash} 0 32 tag)
  file(SIZE ${file} size)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
  string(REGEX REPLACE "(0x[^x]*x[^x]*x[^x]*x[^x]*x[^x]*x[^x]*x[^x]*x..,)" "\\1\n" hex "${hex}")
  string(APPEND bytes "constexpr unsigned char kFile${index}[] = {\n${hex}};\n")
  string(APPEND table "    {\"${path}\", \"${type}\", {reinterpret_cast<const char*>(kFile${index}), ${size}}, \"\\\"${tag}\\\"\"},\n")
  math(EXPR index "${index} + 1")
endforeach()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "// Made by cmake/embed.cmake from ${FOLDER}.
#include \"serve/page/page.h\"

namespace ingrain::serve {
namespace {

${bytes}
const PageFile kFiles[] = {
${table}};

}  // namespace

std::span<const PageFile> page_files() { return kFiles; }

}  // namespace ingrain::serve
" @ONLY)
