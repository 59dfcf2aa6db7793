#include "models/loading/joined.h"

#include <utility>

namespace sumi::models {
namespace {

class Joined : public io::Checkpoint {
 public:
  Joined(std::shared_ptr<const io::Checkpoint> file, std::shared_ptr<const io::Checkpoint> part, std::string prefix)
      : file_(std::move(file)), part_(std::move(part)), prefix_(std::move(prefix)) {
    path_ = file_->path();
    format_ = file_->format();
    metadata_ = file_->metadata();
    for (const io::TensorInfo& info : file_->tensors()) {
      if (!info.name.starts_with(prefix_)) tensors_.push_back(info);
    }
    for (const io::TensorInfo& info : part_->tensors()) tensors_.push_back(info);
    index();
  }

  Tensor tensor(std::string_view name) const override { return owner(name).tensor(name); }
  bool is_copied(std::string_view name) const override { return owner(name).is_copied(name); }
  void check_intact() const override {
    file_->check_intact();
    part_->check_intact();
  }
  void release_pages() const override {
    file_->release_pages();
    part_->release_pages();
  }

 private:
  const io::Checkpoint& owner(std::string_view name) const { return name.starts_with(prefix_) ? *part_ : *file_; }

  std::shared_ptr<const io::Checkpoint> file_, part_;
  std::string prefix_;
};

}  // namespace

std::shared_ptr<const io::Checkpoint> joined(std::shared_ptr<const io::Checkpoint> file,
                                             std::shared_ptr<const io::Checkpoint> part, const std::string& prefix) {
  return std::make_shared<Joined>(std::move(file), std::move(part), prefix);
}

}  // namespace sumi::models
