// The files of `sumi probe`: safetensors in the ecosystem's layout, NCHW and float32, ids in int64.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "io/checkpoint.h"

namespace sumi::app {

class ProbeInput {
 public:
  // Throws Error if the file is missing or not a checkpoint.
  explicit ProbeInput(const std::string& path);

  bool has(const std::string& name) const { return file_->has(name); }
  const std::string& path() const { return path_; }
  // A text of the file's metadata; empty where it has none.
  std::string metadata(const std::string& key) const;
  // Endings of the tensors named `stem` or `stem` and digits: "" for "x", "0" for "x0". Throws Error(kData) if there
  // are none.
  std::vector<std::string> endings(const std::string& stem) const;
  bool has_any(const std::string& stem) const;  // of those tensors
  // `stem + ending`, or `stem` if there is no such tensor.
  std::string resolve(const std::string& stem, const std::string& ending) const;

  // In float32; throws Error(kData) unless it has `rank` dimensions and is not empty.
  Tensor floats(const std::string& name, int rank) const;
  // A picture or latent, converted from the file's NCHW to NHWC.
  Tensor image(const std::string& name) const;
  // In int64; throws Error(kData) for another type or rank.
  Tensor ids(const std::string& name, int rank) const;
  // Numbers of any type, one for each of `count`; a single value is repeated.
  std::vector<double> numbers(const std::string& name, int64_t count) const;

 private:
  Tensor get(const std::string& name) const;
  std::vector<std::string> find_endings(const std::string& stem) const;  // empty: there are none

  std::string path_;
  std::unique_ptr<io::Checkpoint> file_;
};

class ProbeOutput {
 public:
  // Throws Error unless a file can be written at `path`.
  explicit ProbeOutput(std::string path);
  void add(const std::string& name, const Tensor& tensor) { tensors_.emplace_back(name, tensor); }
  // Takes NHWC, written as NCHW.
  void add_image(const std::string& name, const Tensor& image);
  void write() const;

 private:
  std::string path_;
  std::vector<std::pair<std::string, Tensor>> tensors_;
};

}  // namespace sumi::app
