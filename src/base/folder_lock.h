// One process at a time in a folder.
#pragma once

#include <filesystem>
#include <string>

namespace sumi {

// Holds FOLDER/.lock locked while it lives; the folder must be there. Throws Error(kCannotCreate) where nothing can be
// written there, Error(kUnavailable) with the sentence `taken` where another process holds it. A file system without
// locks is a warning that no other `who` ("trainer") may use the folder.
class FolderLock {
 public:
  FolderLock(const std::filesystem::path& folder, const std::string& who, const std::string& taken);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace sumi
