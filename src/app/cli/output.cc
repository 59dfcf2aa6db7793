#include "app/cli/output.h"

#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "app/cli/process.h"
#include "base/atomic_file.h"
#include "base/check.h"
#include "base/text_util.h"
#include "image/metadata.h"
#include "image/png.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;

bool can_hold_files(const fs::path& folder) { return access(folder.c_str(), W_OK | X_OK) == 0; }

// Names in the folder, after what killed runs have left there is gone.
std::vector<std::string> names_in(const fs::path& folder) {
  sweep_temporary_files(folder);
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    names.push_back(at->path().filename().string());
  SUMI_CHECK_KIND(kCannotCreate, !error, "{}: the folder cannot be read: {}", folder.string(), error.message());
  return names;
}

// Why the system cannot say what is at `path`: a loop of links, a name that is too long. Empty if it can.
std::string trouble_with(const fs::path& path) {
  std::error_code error;
  return fs::status(path, error).type() == fs::file_type::none ? error.message() : std::string();
}

}  // namespace

void check_writable_file(const fs::path& path) {
  std::error_code error;
  SUMI_CHECK_KIND(kUsage, path != "-", "-: the result is a file, not standard output; name a file");
  SUMI_CHECK_KIND(kUsage, !path.filename().empty() && !fs::is_directory(path, error),
                  "{}: is a folder; name a file in it", path.string());
  const fs::file_status status = fs::status(path, error);
  SUMI_CHECK_KIND(kUsage, !fs::exists(status) || fs::is_regular_file(status),
                  "{}: is not a regular file; choose another name", path.string());
  const std::string trouble = trouble_with(path);
  SUMI_CHECK_KIND(kCannotCreate, trouble.empty(), "{}: cannot be written: {}", path.string(), trouble);
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  SUMI_CHECK_KIND(kUsage, !fs::exists(folder, error) || fs::is_directory(folder, error),
                  "{}: {} is a file, not a folder", path.string(), folder.string());
  SUMI_CHECK_KIND(kUsage, fs::is_directory(folder, error), "{}: there is no folder {}", path.string(), folder.string());
  SUMI_CHECK_KIND(kCannotCreate, can_hold_files(folder), "{}: the folder {} cannot be written to", path.string(),
                  folder.string());
}

void check_output_file(const fs::path& path) {
  check_writable_file(path);
  const std::string ending = path.extension().string();
  SUMI_CHECK_KIND(kUsage, ending.empty() || ending == ".png" || ending == ".PNG",
                  "{}: pictures are written as PNG; end the name in .png", path.string());
}

bool is_same_file(const fs::path& a, const fs::path& b) {
  std::error_code error;
  return fs::equivalent(a, b, error);
}

void make_output_folder(const fs::path& folder) {
  std::error_code error;
  SUMI_CHECK_KIND(kUsage, folder != "-", "-: results go into a folder, not to standard output; name a folder");
  fs::create_directories(folder, error);
  SUMI_CHECK_KIND(kCannotCreate, !error && fs::is_directory(folder), "{}: the folder cannot be created: {}",
                  folder.string(), error ? error.message() : "another file has that name");
  SUMI_CHECK_KIND(kCannotCreate, can_hold_files(folder), "{}: the folder cannot be written to", folder.string());
}

void check_output_folder(const fs::path& folder) {
  std::error_code error;
  SUMI_CHECK_KIND(kUsage, folder != "-", "-: results go into a folder, not to standard output; name a folder");
  fs::path place = fs::absolute(folder, error).lexically_normal();
  for (; !fs::exists(place, error) && place.has_relative_path(); place = place.parent_path()) {
    const std::string trouble = trouble_with(place);
    SUMI_CHECK_KIND(kCannotCreate, trouble.empty(), "{}: the folder cannot be created: {}", folder.string(), trouble);
  }
  SUMI_CHECK_KIND(kCannotCreate, fs::is_directory(place, error), "{}: the folder cannot be created: {} is a file",
                  folder.string(), place.string());
  SUMI_CHECK_KIND(kCannotCreate, can_hold_files(place), "{}: the folder {} cannot be written to", folder.string(),
                  place.string());
}

void write_picture(const fs::path& path, const image::Image& image, const std::string& parameters) {
  const SignalsWait wait;
  image::write_png(path, image, {{image::kParametersKey, parameters}});
}

fs::path write_new_picture(const std::function<fs::path()>& next, const image::Image& image,
                           const std::string& parameters) {
  const SignalsWait wait;
  return image::write_new_png(next, image, {{image::kParametersKey, parameters}});
}

OutputFolder::OutputFolder(fs::path folder) : folder_(std::move(folder)), samples_(folder_ / "samples") {
  make_output_folder(folder_);
  make_output_folder(samples_);
  const std::vector<std::string> samples = names_in(samples_);
  sample_ = static_cast<int64_t>(samples.size());
  grid_ = static_cast<int64_t>(names_in(folder_).size()) - 1;  // without samples/ itself
  for (const std::string& sample : samples) {
    const std::string name = fs::path(sample).stem().string();
    if (!name.empty() && name.size() < 16 && name.find_first_not_of("0123456789") == std::string::npos)
      first_free_ = std::max<int64_t>(first_free_, std::stoll(name) + 1);
  }
}

fs::path OutputFolder::write_sample(const image::Image& image, const std::string& parameters) {
  return write_new_picture([this] { return samples_ / fmt::format("{:05}.png", sample_++); }, image, parameters);
}

fs::path OutputFolder::write_grid(const image::Image& image, const std::string& parameters) {
  return write_new_picture([this] { return folder_ / fmt::format("grid-{:04}.png", grid_++); }, image, parameters);
}

fs::path OutputFolder::sample(int64_t number) const {
  return samples_ / fmt::format("{:05}.png", first_free_ + number);
}

}  // namespace sumi::app
