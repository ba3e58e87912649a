# For pip: INGRAIN_TORCH, unless it is given, is the torch of the Python that the package is built for. -E: pip's isolated build
# hides the environment's packages by PYTHONPATH; without it they are seen, those of the system and the user's own included
# where the environment has them.
if(NOT INGRAIN_TORCH AND NOT DEFINED ENV{INGRAIN_TORCH})
  find_package(Python3 3.11 REQUIRED COMPONENTS Interpreter)
  execute_process(COMMAND ${Python3_EXECUTABLE} -E -c "import importlib.util, sys
torch = importlib.util.find_spec('torch')
print(torch.submodule_search_locations[0] if torch else sys.prefix)" OUTPUT_VARIABLE INGRAIN_TORCH OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
