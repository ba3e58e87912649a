# Sets INGRAIN_TORCH_FOLDER: the folder with torch's include/ and lib/. INGRAIN_TORCH may name it, or a
# folder that holds it (an unpacked libtorch, site-packages, a virtual environment).
if(INGRAIN_TORCH)
  set(_given "${INGRAIN_TORCH}")
elseif(DEFINED ENV{INGRAIN_TORCH} AND NOT "$ENV{INGRAIN_TORCH}" STREQUAL "")
  set(_given "$ENV{INGRAIN_TORCH}")
else()
  set(_given "${PROJECT_SOURCE_DIR}/.venv")
endif()
get_filename_component(_given "${_given}" ABSOLUTE)

file(GLOB _candidates LIST_DIRECTORIES true
     ${_given} ${_given}/torch ${_given}/libtorch ${_given}/site-packages/torch
     ${_given}/lib/python3*/site-packages/torch)
unset(INGRAIN_TORCH_FOLDER)
foreach(_folder IN LISTS _candidates)
  if(EXISTS ${_folder}/include/fmt/format.h AND EXISTS ${_folder}/lib/libtorch.so)
    set(INGRAIN_TORCH_FOLDER ${_folder})
    break()
  endif()
endforeach()
if(NOT INGRAIN_TORCH_FOLDER)
  message(FATAL_ERROR "no torch in '${_given}' (a folder with include/ and lib/libtorch.so). "
          "'./ingrain setup' installs one; INGRAIN_TORCH=DIR names another.")
endif()
message(STATUS "torch: ${INGRAIN_TORCH_FOLDER}")
