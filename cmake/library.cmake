# libsumi, shared and static: the rooms that the public headers need. No MPI and no curl are in it: nothing of ranks,
# train, evaluate or app.
set(SUMI_LIBRARY_ROOMS base core ops backend_ref backend_cpu nn io text image diffusion models engine api)
set(SUMI_LIBRARY_NEEDS fmt zlib libpng libjpeg libwebp libwebpdemux yaml-cpp libhwy libutf8proc libpcre2-8)
if(HEIF_FOUND)
  list(APPEND SUMI_LIBRARY_NEEDS libheif)
endif()
# giflib has no file for pkg-config, and OpenCV's names all of its libraries.
set(SUMI_PLAIN_NEEDS gif)
if(OPENCV_FOUND)
  list(APPEND SUMI_PLAIN_NEEDS opencv_imgproc opencv_core)
endif()
pkg_check_modules(SUMI_NEEDS REQUIRED IMPORTED_TARGET ${SUMI_LIBRARY_NEEDS})

file(STRINGS ${CMAKE_SOURCE_DIR}/include/sumi.h SUMI_ABI REGEX "#define SUMI_ABI_VERSION ")
string(REGEX REPLACE "[^0-9]" "" SUMI_ABI "${SUMI_ABI}")

# The rooms' archives as one object: kernels, samplers and families register themselves, and a linker that takes only
# what is called would drop them from archives, in the shared library and in every program made with the static one.
set(SUMI_OBJECT ${CMAKE_BINARY_DIR}/libsumi.o)
list(TRANSFORM SUMI_LIBRARY_ROOMS REPLACE "(.+)" "sumi_\\1_archive" OUTPUT_VARIABLE archives)
list(TRANSFORM archives REPLACE "(.+)" "$<TARGET_FILE:\\1>" OUTPUT_VARIABLE files)
separate_arguments(flags NATIVE_COMMAND "${CMAKE_CXX_FLAGS}")
add_custom_command(
  OUTPUT ${SUMI_OBJECT}
  COMMAND ${CMAKE_CXX_COMPILER} ${flags} -r -nostdlib -o ${SUMI_OBJECT} -Wl,--whole-archive ${files}
  DEPENDS ${archives}
  COMMENT "Combining the rooms of libsumi"
  VERBATIM)
set_source_files_properties(${SUMI_OBJECT} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)

# Makes TARGET link as C++ under the file name libsumi, and be sumi::NAME here and where it is installed.
function(sumi_library TARGET NAME)
  set_target_properties(${TARGET} PROPERTIES OUTPUT_NAME sumi LINKER_LANGUAGE CXX EXPORT_NAME ${NAME})
  target_include_directories(${TARGET} INTERFACE $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
  add_library(sumi::${NAME} ALIAS ${TARGET})
endfunction()

set(SUMI_VERSION_SCRIPT ${CMAKE_BINARY_DIR}/libsumi.map)
sumi_write_version_script(${SUMI_VERSION_SCRIPT} SUMI_${SUMI_ABI})
add_library(sumi_shared SHARED ${SUMI_OBJECT})
sumi_library(sumi_shared sumi)
set_target_properties(sumi_shared PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${SUMI_ABI}
                      LINK_DEPENDS ${SUMI_VERSION_SCRIPT})
target_link_libraries(sumi_shared PRIVATE PkgConfig::SUMI_NEEDS GIF::GIF ${OPENCV_LIBRARIES} Threads::Threads)
target_link_options(sumi_shared PRIVATE -Wl,--version-script=${SUMI_VERSION_SCRIPT} -Wl,--as-needed)
if(SUMI_SANITIZE)
  target_link_options(sumi_shared PRIVATE -fsanitize=${SUMI_SANITIZE})  # their runtime comes with the program
else()
  target_link_options(sumi_shared PRIVATE -Wl,--no-undefined)
endif()

add_library(sumi_static STATIC ${SUMI_OBJECT})
sumi_library(sumi_static sumi_static)
target_link_libraries(sumi_static INTERFACE PkgConfig::SUMI_NEEDS ${SUMI_PLAIN_NEEDS} Threads::Threads)
add_dependencies(sumi_static sumi_shared)  # so that one rule makes the object
