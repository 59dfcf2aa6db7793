// Synthetic checkpoints for tests: made once in the build tree, shared by every test and program.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>

#include "tools/synthetic.h"

namespace sumi::test {

// Calls `make` unless `made`, a file that it makes last, is there. Tests run in parallel in separate processes, so the
// one that makes it holds the lock NAME.lock that the others wait for.
inline void make_once(const std::filesystem::path& name, const std::filesystem::path& made,
                      const std::function<void()>& make) {
  std::filesystem::create_directories(name.parent_path());
  const int lock = open((name.string() + ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0666);
  if (lock < 0 || flock(lock, LOCK_EX) != 0) throw std::runtime_error("cannot lock " + name.string());
  if (!std::filesystem::exists(made)) make();
  close(lock);
}

// Path of the checkpoint that `options` describes, for instance {.dtype = DType::kF16}.
inline std::filesystem::path synthetic_model(const tools::SyntheticOptions& options = {}) {
  namespace fs = std::filesystem;
  const char* ending = options.format == tools::CheckpointFormat::kTorch         ? ".ckpt"
                       : options.format == tools::CheckpointFormat::kSafetensors ? ".safetensors"
                                                                                 : "";
  const fs::path folder = SUMI_TEST_MODELS;
  fs::path path = folder / (options.size + "-" + std::string(name_of(options.dtype)) + options.variant + ending);
  const bool folder_format = options.format == tools::CheckpointFormat::kDiffusers;
  make_once(path, folder_format ? path / "model_index.json" : path, [&] { tools::write_synthetic(path, options); });
  return path;
}

}  // namespace sumi::test
