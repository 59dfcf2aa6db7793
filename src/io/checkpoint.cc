#include "io/checkpoint.h"

#include <algorithm>
#include <string_view>

#include "io/gguf.h"
#include "io/mapped_file.h"
#include "io/safetensors.h"
#include "io/sniff.h"
#include "io/torch_ckpt.h"

namespace sumi::io {
namespace {

bool begins_with(std::span<const uint8_t> contents, std::string_view magic) {
  return contents.size() >= magic.size() && std::equal(magic.begin(), magic.end(), contents.begin(),
                                                       [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
}

}  // namespace

void check_is_a_model(std::span<const uint8_t> contents, const std::filesystem::path& path) {
  SUMI_CHECK(!contents.empty(), "{}: is empty; was the download cut off?", path.string());
  SUMI_CHECK(!begins_with(contents, "version https://git-lfs"),
             "{}: this is not a model but a Git-LFS pointer to one; fetch the file itself with `git lfs pull`",
             path.string());
  SUMI_CHECK(!begins_with(contents, "<!DOCTYPE") && !begins_with(contents, "<!doctype") &&
                 !begins_with(contents, "<html") && !begins_with(contents, "<HTML"),
             "{}: this is not a model but a web page; the download went wrong", path.string());
}

const TensorInfo* Checkpoint::find(std::string_view name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : &tensors_[it->second];
}

void Checkpoint::index() {
  for (size_t i = 0; i < tensors_.size(); ++i) by_name_.emplace(tensors_[i].name, i);
}

std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& path) {
  std::shared_ptr<MappedFile> file = MappedFile::open(path);
  const std::span<const uint8_t> contents = file->contents();
  check_is_a_model(contents, path);
  if (begins_with(contents, "PK\x03\x04")) return open_torch_ckpt(std::move(file));
  if (looks_like_safetensors(contents) || path.extension() == ".safetensors") return open_safetensors(std::move(file));
  if (begins_with(contents, "GGUF")) return open_gguf(std::move(file));
  return open_torch_ckpt(std::move(file));  // reports what is wrong: an older torch format, or an unknown one
}

}  // namespace sumi::io
