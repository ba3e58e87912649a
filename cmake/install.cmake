# cmake --install build/release --prefix DIR: the program, the public headers, and a package for other CMake projects:
#   find_package(ingrain) gives the target ingrain::ingrain (docs/embedding.md).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(_package ${CMAKE_INSTALL_LIBDIR}/cmake/ingrain)
install(TARGETS ingrain_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
if(TARGET ingrain_nccl)
  install(TARGETS ingrain_nccl LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/ingrain)
endif()
if(TARGET ingrain_mpi)
  install(TARGETS ingrain_mpi LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/ingrain)
endif()
install(TARGETS ingrain_base ingrain_engine ingrain_notes ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/ingrain DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
# What the static libraries link: found again where the package is used, torch by the same rules as here.
set(INGRAIN_LINKED "")
foreach(name IN ITEMS hwy z zstd pcre2 utf8proc sqlite3)
  list(APPEND INGRAIN_LINKED ${INGRAIN_LIB_${name}})
endforeach()
configure_package_config_file(cmake/ingrainConfig.cmake.in ${PROJECT_BINARY_DIR}/ingrainConfig.cmake
  INSTALL_DESTINATION ${_package} PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ingrainConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ingrainConfig.cmake ${PROJECT_BINARY_DIR}/ingrainConfigVersion.cmake
  cmake/torch.cmake cmake/torch_folder.cmake DESTINATION ${_package})
