add_library(ingrain_warnings INTERFACE)
target_compile_options(ingrain_warnings INTERFACE -Wall -Wextra -Wno-psabi)
