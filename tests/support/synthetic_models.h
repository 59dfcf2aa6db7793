// Synthetic checkpoints for tests: made once in the build tree, shared by every test and program.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <string>

#include "tools/synthetic.h"

namespace sumi::test {

// Path of the checkpoint that `options` describes, for instance {.dtype = DType::kF16}. Tests run in parallel in
// separate processes, so the one that makes a checkpoint holds a lock that the others wait for.
inline std::filesystem::path synthetic_model(const tools::SyntheticOptions& options = {}) {
  namespace fs = std::filesystem;
  const char* ending = options.format == tools::CheckpointFormat::kTorch         ? ".ckpt"
                       : options.format == tools::CheckpointFormat::kSafetensors ? ".safetensors"
                                                                                 : "";
  const fs::path folder = SUMI_TEST_MODELS;
  fs::create_directories(folder);
  fs::path path = folder / (options.size + "-" + std::string(name_of(options.dtype)) + options.variant + ending);
  const int lock = open((path.string() + ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0666);
  if (lock < 0 || flock(lock, LOCK_EX) != 0) throw std::runtime_error("cannot lock " + path.string());
  const bool folder_format = options.format == tools::CheckpointFormat::kDiffusers;
  if (!fs::exists(folder_format ? path / "model_index.json" : path)) tools::write_synthetic(path, options);
  close(lock);
  return path;
}

}  // namespace sumi::test
