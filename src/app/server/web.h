// The page: files that a browser loads, from within the program or, while it is worked on, from a folder.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "app/server/router.h"

namespace sumi::app {

struct WebFile {
  std::string_view name;  // "js/main.js"
  std::string_view bytes;
};
const std::vector<WebFile>& embedded_web_files();  // written by cmake/embed_web.cmake

// "/" is index.html, and each other file has its own path. With a folder its files are taken instead, read anew for
// each request; files that come later need a restart. Throws Error(kNoInput) for a folder without index.html.
void add_web_routes(Router& router, const std::filesystem::path& folder = {});

}  // namespace sumi::app
