# Writes the linker's version script of the shared library: the functions of sumi.h, the classes and functions that
# include/sumi/*.h mark with SUMI_API, and nothing else. Hidden visibility is not enough: instances of the standard
# library's templates are weak symbols with its own visibility, and members of a class nested in a public one have the
# public one's.

# The names that are followed by a parenthesis in `text`.
function(sumi_called_names TEXT OUT)
  string(REGEX MATCHALL "[A-Za-z_][A-Za-z_0-9]*\\(" calls "${TEXT}")
  list(TRANSFORM calls REPLACE "\\($" "")
  list(REMOVE_DUPLICATES calls)
  set(${OUT} ${calls} PARENT_SCOPE)
endfunction()

# The text of a header without comments and preprocessor lines; "!" stands for ";", which would part a list.
function(sumi_read_header HEADER OUT)
  file(READ ${HEADER} text)
  string(REGEX REPLACE "/\\*([^*]|\\*+[^*/])*\\*+/|//[^\n]*|#[^\n]*" "" text "${text}")
  string(REPLACE ";" "!" text "${text}")
  set(${OUT} "${text}" PARENT_SCOPE)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${HEADER})
endfunction()

function(sumi_write_version_script FILE NODE)
  sumi_read_header(${CMAKE_SOURCE_DIR}/include/sumi.h c_header)
  string(REGEX MATCHALL "SUMI_C_API[^!(]*\\(" c_functions "${c_header}")
  sumi_called_names("${c_functions}" c_functions)

  file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/include/sumi/*.h)
  set(patterns "")
  foreach(header ${headers})
    sumi_read_header(${header} text)
    string(REPLACE "\n}!" "$" text "${text}")  # "$" ends a class: CMake's expressions have no lazy matches
    string(REGEX MATCHALL "class SUMI_API [^$]*" classes "${text}")
    foreach(class IN LISTS classes)
      string(REGEX MATCH "^class SUMI_API ([A-Za-z_0-9]+)" name "${class}")
      set(name ${CMAKE_MATCH_1})
      sumi_called_names("${class}" functions)
      foreach(function ${functions})
        list(APPEND patterns "sumi::${name}::${function}*")
      endforeach()
      # "?" is the destructor's tilde, which the linker's patterns cannot spell.
      list(APPEND patterns "sumi::${name}::?${name}*" "\"typeinfo for sumi::${name}\""
           "\"typeinfo name for sumi::${name}\"" "\"vtable for sumi::${name}\"")
    endforeach()
    string(REGEX MATCHALL "\nSUMI_API [^!(]*\\(" functions "${text}")
    sumi_called_names("${functions}" functions)
    list(TRANSFORM functions PREPEND "sumi::")
    list(TRANSFORM functions APPEND "*")
    list(APPEND patterns ${functions})
  endforeach()

  list(JOIN c_functions ";\n    " c_functions)
  list(JOIN patterns ";\n      " patterns)
  file(CONFIGURE OUTPUT ${FILE} @ONLY CONTENT "@NODE@ {
  global:
    @c_functions@;
    extern \"C++\" {
      @patterns@;
    };
  local:
    *;
};
")
endfunction()
