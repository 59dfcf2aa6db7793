// A checkpoint whose tensors lie one by one in a mapped file, each contiguous and uncompressed.
#pragma once

#include <memory>
#include <vector>

#include "io/checkpoint.h"
#include "io/mapped_file.h"

namespace sumi::io {

class MappedTensors : public Checkpoint {
 public:
  Tensor tensor(std::string_view name) const override;
  bool is_copied(std::string_view name) const override;
  void check_intact() const override { file_->check_intact(); }
  void release_pages() const override { file_->release_pages(); }

 protected:
  explicit MappedTensors(std::shared_ptr<MappedFile> file) : file_(std::move(file)) { path_ = file_->path(); }

  int64_t offset_of(const TensorInfo& info) const {
    return static_cast<int64_t>(offsets_[static_cast<size_t>(&info - tensors_.data())]);
  }

  std::shared_ptr<MappedFile> file_;
  std::vector<uint64_t> offsets_;  // in the file, of each of tensors_
};

}  // namespace sumi::io
