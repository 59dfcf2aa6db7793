// Output files: checked before any work, numbered as in the original, written atomically.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "image/image.h"

namespace sumi::app {

// Throws Error(kUsage) unless a file can be written at `path`: its folder exists, and `path` is not a folder or device;
// Error(kCannotCreate) if the folder cannot be written to.
void check_writable_file(const std::filesystem::path& path);

// The same for a picture: a name ending in .png, or without an extension.
void check_output_file(const std::filesystem::path& path);

// Whether both are there and one file, under whatever names.
bool is_same_file(const std::filesystem::path& a, const std::filesystem::path& b);

// Creates the folder and its parents; throws Error(kCannotCreate) unless files can be written there.
void make_output_folder(const std::filesystem::path& folder);

// Writes a PNG with A1111's parameters; a second Ctrl-C waits for it.
void write_picture(const std::filesystem::path& path, const image::Image& image, const std::string& parameters);

// The same under the first unused name of those that `next` returns, one per call; returns that name. No file is
// replaced, even if other processes write to the folder.
std::filesystem::path write_new_picture(const std::function<std::filesystem::path()>& next, const image::Image& image,
                                        const std::string& parameters);

// Throws Error(kCannotCreate) if `folder` exists and cannot be written to, or cannot be created. Creates nothing.
void check_output_folder(const std::filesystem::path& folder);

// The original's layout: OUT/samples/00000.png … and OUT/grid-0000.png …, numbered from the number of entries in the
// folder; used names are skipped.
class OutputFolder {
 public:
  // Creates both folders; throws as make_output_folder.
  explicit OutputFolder(std::filesystem::path folder);
  // Write under the next number, as write_new_picture.
  std::filesystem::path write_sample(const image::Image& image, const std::string& parameters);
  std::filesystem::path write_grid(const image::Image& image, const std::string& parameters);
  // The name of the number-th picture of a run, counted after all existing files. For runs of several processes, which
  // must all construct this object before any of them writes.
  std::filesystem::path sample(int64_t number) const;

 private:
  std::filesystem::path folder_, samples_;
  int64_t sample_ = 0, grid_ = 0, first_free_ = 0;
};

}  // namespace sumi::app
