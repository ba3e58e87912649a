add_library(ingrain_warnings INTERFACE)
target_compile_options(ingrain_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wno-psabi>)
