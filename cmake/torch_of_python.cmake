# For pip: INGRAIN_TORCH, unless it is given, is the torch of the Python that the package is built for; in pip's isolated build
# the one of its environment, which that does not see.
if(NOT INGRAIN_TORCH AND NOT DEFINED ENV{INGRAIN_TORCH})
  find_package(Python3 3.11 REQUIRED COMPONENTS Interpreter)
  execute_process(COMMAND ${Python3_EXECUTABLE} -c "import importlib.util, sys
torch = importlib.util.find_spec('torch')
print(torch.submodule_search_locations[0] if torch else sys.prefix)" OUTPUT_VARIABLE INGRAIN_TORCH OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
