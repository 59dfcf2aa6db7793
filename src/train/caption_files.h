// The caption files of one folder, found by the names of its pictures.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace sumi::train {

class CaptionFiles {
 public:
  // `files`: all of the folder.
  explicit CaptionFiles(const std::vector<std::filesystem::path>& files);

  // For NAME.png: NAME.txt, NAME.caption and NAME.png.txt, as far as they are there, best first: those with exactly its
  // letters, then those whose ending alone is in another case, then those of other case, unless that name belongs to
  // another picture.
  std::vector<std::filesystem::path> of(const std::filesystem::path& picture);

  // Those that no call of of() gave.
  std::vector<std::filesystem::path> unused() const;

 private:
  std::multimap<std::string, std::filesystem::path> texts_;  // by their names in lower case
  std::set<std::string> pictures_;                           // names with and without their endings
  std::set<std::filesystem::path> used_;
};

}  // namespace sumi::train
