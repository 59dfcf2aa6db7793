// Where pictures go: checked before any work, numbered as the original does, written whole or not at all.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "image/image.h"

namespace sumi::app {

// Throws Error(kUsage) unless a file can be put at `path`: its folder is there, and no folder or device has the name;
// Error(kCannotCreate) where the folder cannot be written to.
void check_writable_file(const std::filesystem::path& path);

// The same for a picture: a name ending in .png, or in nothing.
void check_output_file(const std::filesystem::path& path);

// Makes the folder and those above it; throws Error(kCannotCreate) unless files can be put there.
void make_output_folder(const std::filesystem::path& folder);

// Writes a PNG with A1111's parameters; a second Ctrl-C waits for it.
void write_picture(const std::filesystem::path& path, const image::Image& image, const std::string& parameters);

// The same under the first of the names `next` gives, one at each call, that nothing has; returns it. No file is
// replaced, even where other processes write to the folder.
std::filesystem::path write_new_picture(const std::function<std::filesystem::path()>& next, const image::Image& image,
                                        const std::string& parameters);

// Throws Error(kCannotCreate) where `folder` is there and cannot be written to, or nothing could be made at its name.
// Makes nothing.
void check_output_folder(const std::filesystem::path& folder);

// The original's layout: OUT/samples/00000.png … and OUT/grid-0000.png …, numbered from how many entries the folder
// has; a name that is taken is passed over.
class OutputFolder {
 public:
  // Makes both folders; throws as make_output_folder.
  explicit OutputFolder(std::filesystem::path folder);
  // Write under the next number, as write_new_picture.
  std::filesystem::path write_sample(const image::Image& image, const std::string& parameters);
  std::filesystem::path write_grid(const image::Image& image, const std::string& parameters);
  // The name of the number-th picture of a run whose first comes after all that are there. For runs of several
  // processes, which must make this before any of them writes.
  std::filesystem::path sample(int64_t number) const;

 private:
  std::filesystem::path folder_, samples_;
  int64_t sample_ = 0, grid_ = 0, first_free_ = 0;
};

}  // namespace sumi::app
