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
  // Throws Error where the file is missing or is no checkpoint.
  explicit ProbeInput(const std::string& path);

  bool has(const std::string& name) const { return file_->has(name); }
  // Endings of the tensors named `stem` or `stem` and digits: "" for "x", "0" for "x0". Throws Error(kData) where there
  // is none.
  std::vector<std::string> endings(const std::string& stem) const;
  // `stem + ending`, or `stem` alone where there is none of that ending.
  std::string resolve(const std::string& stem, const std::string& ending) const;

  // In float32; throws Error(kData) unless it has `rank` dimensions and is not empty.
  Tensor floats(const std::string& name, int rank) const;
  // A picture or latent, given as NCHW, as the engine has it: NHWC.
  Tensor image(const std::string& name) const;
  // In int64; throws Error(kData) for another type or rank.
  Tensor ids(const std::string& name, int rank) const;
  // Numbers of any type, one for each of `count`; a single one stands for all.
  std::vector<double> numbers(const std::string& name, int64_t count) const;

 private:
  Tensor get(const std::string& name) const;

  std::string path_;
  std::unique_ptr<io::Checkpoint> file_;
};

class ProbeOutput {
 public:
  // Throws Error unless a file can be put at `path`.
  explicit ProbeOutput(std::string path);
  void add(const std::string& name, const Tensor& tensor) { tensors_.emplace_back(name, tensor); }
  // NHWC, to be written as NCHW.
  void add_image(const std::string& name, const Tensor& image);
  void write() const;

 private:
  std::string path_;
  std::vector<std::pair<std::string, Tensor>> tensors_;
};

}  // namespace sumi::app
