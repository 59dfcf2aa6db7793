// The safety checker of Stable Diffusion: whether a picture is too near to one of the concepts that are not to be
// shown. CLIP's picture tower and the angles between what it sees and a vector for each concept. (diffusers,
// safety_checker.py)
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "core/tensor.h"
#include "models/safety/safety_files.h"

namespace sumi::models {

// What is found in a picture, in thousandths: above 0 it shows the concept.
struct SafetyReport {
  bool flagged = false;        // any of `concepts` is above 0
  std::vector<float> special;  // concepts of special care: one of them lowers the threshold of all that follow by 0.01
  std::vector<float> concepts;
};

// The steps in between, float32 on the host, for N pictures.
struct SafetyStates {
  Tensor last_hidden;               // [N,tokens,width], not normed
  Tensor pooled;                    // [N,width]
  Tensor embeds;                    // [N,projection]
  Tensor special_cos, concept_cos;  // [N,concepts]
};

// Many threads may use one at the same time.
class SafetyChecker {
 public:
  // Throws as find_safety_checker, and Error(kData) for weights that do not fit.
  explicit SafetyChecker(const std::filesystem::path& path, Device device = Device::kCpu);

  int64_t side() const { return files_.vision.side; }  // pixels of a picture
  // Memory: the weights, and the part of them that stays in the mapped file; what one picture takes beside them.
  int64_t weight_bytes() const { return weights_; }
  int64_t mapped_bytes() const { return mapped_; }
  int64_t activation_bytes() const;
  const io::Checkpoint& file() const { return *files_.file; }

  // How near is too near: cosines, one for each concept.
  const std::vector<float>& concept_thresholds() const { return concept_thresholds_; }
  const std::vector<float>& special_thresholds() const { return special_thresholds_; }
  // Other thresholds than the file's, as many. Throws Error(kUsage) for another number.
  void set_thresholds(std::vector<float> concepts, std::vector<float> special);

  // Pictures [N,side,side,3], each channel minus CLIP's mean, divided by its deviation. Computes in float32 whatever
  // the thread's context says.
  SafetyStates look(const Tensor& pictures) const;
  // One report for each picture.
  std::vector<SafetyReport> judge(const SafetyStates& states) const;

 private:
  class Network;

  SafetyFiles files_;
  Device device_;
  std::shared_ptr<const Network> network_;
  std::vector<float> concepts_, special_;  // unit vectors, row by row
  std::vector<float> concept_thresholds_, special_thresholds_;
  int64_t weights_ = 0, mapped_ = 0;
};

}  // namespace sumi::models
