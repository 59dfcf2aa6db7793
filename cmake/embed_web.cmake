# Writes a C++ file with the page of `sumi serve`, so that the program needs no files beside it. Run as
#   cmake -DROOT=src/app/web -DOUT=web_files.cc -DFILES="index.html;js/main.js" -P embed_web.cmake
# A string literal may have 64 KiB (C++ [implimits]), so each file becomes several.
set(text "#include \"app/server/web.h\"\n\nnamespace sumi::app {\n\nconst std::vector<WebFile>& embedded_web_files() {\n")
string(APPEND text "  static const std::vector<WebFile> files{\n")
foreach(name ${FILES})
  file(READ ${ROOT}/${name} hex HEX)
  string(LENGTH "${hex}" length)
  math(EXPR bytes "${length} / 2")
  # 4000 bytes a literal.
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" escaped "${hex}")
  string(LENGTH "${escaped}" length)
  set(parts "")
  set(at 0)
  while(at LESS length)
    string(SUBSTRING "${escaped}" ${at} 16000 part)
    string(APPEND parts "\n     \"${part}\"")
    math(EXPR at "${at} + 16000")
  endwhile()
  string(APPEND text "    {\"${name}\", std::string_view(${parts}, ${bytes})},\n")
endforeach()
string(APPEND text "  };\n  return files;\n}\n\n}  // namespace sumi::app\n")
file(WRITE ${OUT}.new "${text}")
file(RENAME ${OUT}.new ${OUT})
