// What pictures depend on beside requests: the files of a process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <tuple>

#include "app/server/library.h"
#include "app/server/shelf.h"

namespace sumi::app {

// One thread uses it.
class FilePrints {
 public:
  // Tells the files of that model and of the library from others of the same names: sizes and samples of their
  // contents, read again where a file has changed.
  std::string of(const Shelf& shelf, const Library& library, const std::string& model);

 private:
  struct Known {
    std::filesystem::file_time_type written;
    uint64_t size = 0;
    std::string print;
  };
  std::string of_file(const std::filesystem::path& file);
  std::string of_all_in(const std::filesystem::path& path);

  std::map<std::string, Known> known_;
};

}  // namespace sumi::app
