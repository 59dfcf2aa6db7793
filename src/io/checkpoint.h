// A file of named tensors, read lazily: opening reads the directory of names, tensor() maps one in.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"

namespace sumi::io {

struct TensorInfo {
  std::string name;  // as in the file, without wrappers such as a nested "state_dict"
  DType dtype;
  Shape shape;
};

class Checkpoint {
 public:
  virtual ~Checkpoint() = default;

  // Every tensor, in the file's order.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  // nullptr if there is no tensor of that name.
  const TensorInfo* find(std::string_view name) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }
  // The tensor itself: a view of the mapped file where its bytes can be used as they lie (aligned to the element,
  // contiguous, uncompressed, little-endian), else a copy. Throws Error(kData) if there is no tensor of that name.
  virtual Tensor tensor(std::string_view name) const = 0;
  // Whether tensor() makes a copy of that tensor, which takes memory of its own.
  virtual bool is_copied(std::string_view /*name*/) const { return false; }
  // Throws Error(kData) if a file that is mapped has changed since it was opened (see MappedFile).
  virtual void check_intact() const {}
  // Releases the pages of its mapped files; they are read again when needed.
  virtual void release_pages() const {}
  // String metadata of the file (safetensors `__metadata__`); empty where the format has none.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // "safetensors", "torch checkpoint"; "diffusers folder" for one made of several files.
  const std::string& format() const { return format_; }
  const std::filesystem::path& path() const { return path_; }

 protected:
  void index();  // call once tensors_ is filled

  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::string> metadata_;
  std::string format_;
  std::filesystem::path path_;

 private:
  std::map<std::string, size_t, std::less<>> by_name_;
};

// Opens a file by its contents, not by its ending: safetensors or torch zip (.ckpt, .pt). models/loading/open.h opens
// folders of several files. Throws Error(kData) or Error(kNoInput) with one sentence that names the file, the rule, and
// the tensor or offset.
std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& path);

}  // namespace sumi::io
