# What `cmake --install` and `cpack` put where. Nothing installed names the place it was built in or installed to: the
# program and the CMake and pkg-config files find the rest from where they are.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS sumi DESTINATION bin)
# The default model, with what it was made from and under which licence.
install(FILES models/emoji/emoji.safetensors DESTINATION share/sumi/models)
install(FILES models/emoji/README.md DESTINATION share/doc/sumi/models/emoji)
install(FILES README.md DESTINATION share/doc/sumi)
install(DIRECTORY docs DESTINATION share/doc/sumi)

# The licence, in the form that Debian asks for.
file(READ LICENSE licence)
string(REGEX REPLACE "^MIT License\n+Copyright \\(c\\) ([^\n]*)\n+" "" licence "${licence}")
set(holder "${CMAKE_MATCH_1}")
string(REGEX REPLACE "\n+$" "" licence "${licence}")
string(REPLACE "\n\n" "\n.\n" licence "${licence}")
string(REPLACE "\n" "\n " licence "${licence}")
configure_file(cmake/copyright.in ${CMAKE_BINARY_DIR}/copyright @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/copyright DESTINATION share/doc/sumi)

if(EXISTS ${CMAKE_SOURCE_DIR}/python/sumi)
  # Where Debian's python3 looks.
  install(DIRECTORY python/sumi DESTINATION lib/python3/dist-packages
          FILES_MATCHING PATTERN "*.py" PATTERN "py.typed" PATTERN "__pycache__" EXCLUDE)
endif()

if(TARGET sumi_shared)
  install(TARGETS sumi_shared EXPORT sumi-targets DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(TARGETS sumi_static EXPORT sumi-static-targets DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY include/ DESTINATION include FILES_MATCHING PATTERN "*.h")
  install(DIRECTORY examples DESTINATION share/doc/sumi)

  set(config ${CMAKE_INSTALL_LIBDIR}/cmake/sumi)
  install(EXPORT sumi-targets NAMESPACE sumi:: DESTINATION ${config})
  install(EXPORT sumi-static-targets NAMESPACE sumi:: DESTINATION ${config})
  list(JOIN SUMI_LIBRARY_NEEDS " " SUMI_PC_NEEDS)
  list(TRANSFORM SUMI_PLAIN_NEEDS PREPEND "-l" OUTPUT_VARIABLE SUMI_PC_PLAIN_NEEDS)
  list(JOIN SUMI_PC_PLAIN_NEEDS " " SUMI_PC_PLAIN_NEEDS)
  configure_package_config_file(cmake/sumi-config.cmake.in ${CMAKE_BINARY_DIR}/sumi-config.cmake
                                INSTALL_DESTINATION ${config} NO_SET_AND_CHECK_MACRO)
  write_basic_package_version_file(${CMAKE_BINARY_DIR}/sumi-config-version.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${CMAKE_BINARY_DIR}/sumi-config.cmake ${CMAKE_BINARY_DIR}/sumi-config-version.cmake DESTINATION ${config})

  file(RELATIVE_PATH SUMI_PREFIX_FROM_PC /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  string(REGEX REPLACE "/$" "" SUMI_PREFIX_FROM_PC ${SUMI_PREFIX_FROM_PC})
  foreach(name sumi sumi-static)
    configure_file(cmake/${name}.pc.in ${CMAKE_BINARY_DIR}/${name}.pc @ONLY)
    install(FILES ${CMAKE_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
  endforeach()
endif()

# One Debian package of everything: `./ci.sh package`.
set(SUMI_MAINTAINER "the sumi authors <sumi@localhost>" CACHE STRING "Who answers for the package: NAME <ADDRESS>")
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME sumi)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "${SUMI_MAINTAINER}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)  # sumi_0.1.0_amd64.deb
set(CPACK_DEBIAN_PACKAGE_SECTION graphics)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS python3)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "python3-numpy, python3-pil")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/cmake/triggers ${CMAKE_SOURCE_DIR}/cmake/prerm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_DESCRIPTION
    "sumi draws pictures from text with existing checkpoints of Stable Diffusion 1,
the same picture as the original for the same prompt and seed, and trains such
models. It needs no graphics card.
The package has the program, a small model that draws emoji, the libraries
libsumi.so and libsumi.a for C, C++ and Python, and their headers.")
include(CPack)
