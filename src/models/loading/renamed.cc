#include "models/loading/renamed.h"

#include "base/check.h"
#include "base/log.h"
#include "base/text_util.h"

namespace sumi::models {
namespace {

class Renamed : public io::Checkpoint {
 public:
  Renamed(std::shared_ptr<const io::Checkpoint> file, const std::function<std::string(const std::string&)>& new_name,
          SameName same, const std::map<std::string, std::string>& more_metadata)
      : file_(std::move(file)) {
    path_ = file_->path();
    format_ = file_->format();
    metadata_ = file_->metadata();
    for (const auto& [key, value] : more_metadata) metadata_[key] = value;
    std::string first_dropped;
    int64_t dropped = 0;
    for (const io::TensorInfo& info : file_->tensors()) {
      const std::string name = new_name(info.name);
      if (name.empty()) continue;
      if (same == SameName::kKeepOwn && name != info.name && file_->has(name)) {
        if (dropped++ == 0) first_dropped = info.name;
        continue;
      }
      const auto [other, fresh] = own_names_.emplace(name, info.name);
      SUMI_CHECK(fresh, "{}: the tensors \"{}\" and \"{}\" are the same parameter, {}", path_.string(),
                 strip_control(other->second), strip_control(info.name), strip_control(name));
      tensors_.push_back({name, info.dtype, info.shape});
    }
    if (dropped > 0)
      warn("{}: {} tensors are there a second time in other names, and left out, such as \"{}\"", path_.string(),
           dropped, strip_control(first_dropped));
    index();
  }

  Tensor tensor(std::string_view name) const override {
    const auto found = own_names_.find(std::string(name));
    SUMI_CHECK(found != own_names_.end(), "{}: has no tensor \"{}\"", path_.string(), strip_control(name));
    return file_->tensor(found->second);
  }

  bool is_copied(std::string_view name) const override {
    const auto found = own_names_.find(std::string(name));
    return found != own_names_.end() && file_->is_copied(found->second);
  }
  void check_intact() const override { file_->check_intact(); }
  void release_pages() const override { file_->release_pages(); }

 private:
  std::shared_ptr<const io::Checkpoint> file_;
  std::unordered_map<std::string, std::string> own_names_;  // by the new ones
};

}  // namespace

std::unique_ptr<io::Checkpoint> renamed(std::shared_ptr<const io::Checkpoint> file,
                                        const std::function<std::string(const std::string&)>& name, SameName same,
                                        const std::map<std::string, std::string>& more_metadata) {
  return std::make_unique<Renamed>(std::move(file), name, same, more_metadata);
}

}  // namespace sumi::models
