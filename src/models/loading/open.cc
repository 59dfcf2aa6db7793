#include "models/loading/open.h"

#include <unordered_map>

#include "base/check.h"
#include "base/text_util.h"
#include "models/family.h"
#include "models/loading/diffusers_folder.h"

namespace sumi::models {
namespace {

// A file with a family's own tensor names, seen under the engine's names.
class Renamed : public io::Checkpoint {
 public:
  Renamed(std::unique_ptr<io::Checkpoint> file, const Family& family) : file_(std::move(file)) {
    path_ = file_->path();
    format_ = file_->format();
    metadata_ = file_->metadata();
    metadata_[kFamilyKey] = family.name;
    for (const io::TensorInfo& info : file_->tensors()) {
      const std::string name = family.engine_name(info.name);
      const auto [other, fresh] = own_names_.emplace(name, info.name);
      SUMI_CHECK(fresh, "{}: the tensors \"{}\" and \"{}\" are the same parameter, {}", path_.string(),
                 strip_control(other->second), strip_control(info.name), strip_control(name));
      tensors_.push_back({name, info.dtype, info.shape});
    }
    index();
  }

  Tensor tensor(std::string_view name) const override {
    const auto found = own_names_.find(std::string(name));
    SUMI_CHECK(found != own_names_.end(), "{}: has no tensor \"{}\"", path_.string(), strip_control(name));
    return file_->tensor(found->second);
  }

  void check_intact() const override { file_->check_intact(); }
  void release_pages() const override { file_->release_pages(); }

 private:
  std::unique_ptr<io::Checkpoint> file_;
  std::unordered_map<std::string, std::string> own_names_;  // by the engine's
};

}  // namespace

std::unique_ptr<io::Checkpoint> open_model_files(const std::filesystem::path& path, const std::string& variant) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return open_diffusers_folder(path, variant);
  SUMI_CHECK_KIND(kUsage, variant.empty(), "{}: is a single file, which has no `variant` {}", path.string(), variant);
  std::unique_ptr<io::Checkpoint> file = io::open_checkpoint(path);
  for (const Family& family : list_families()) {
    if (family.has_own_names != nullptr && family.has_own_names(*file))
      return std::make_unique<Renamed>(std::move(file), family);
  }
  return file;
}

}  // namespace sumi::models
