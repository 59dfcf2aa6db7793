// The safety checker on pictures: prepares them as its maker did, and blackens those that it flags.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "models/safety/safety_checker.h"
#include "sumi/image.h"

namespace sumi::engine {

inline constexpr int64_t kMostSafetyRatio = 100;  // of the sides

// The middle of an RGB picture, its shorter edge scaled to `side` pixels (bicubic, 8 bits): side × side. Throws
// Error(kData) for a picture of another kind, or more than 100 times as long as wide.
Image safety_square(const Image& picture, int64_t side);

// Such squares as the network takes them: from 0 to 1, each channel minus CLIP's mean, divided by its deviation →
// [N,side,side,3] float32 on the host.
Tensor safety_pixels(const std::vector<Image>& squares);

// Many jobs may use one at the same time.
class Safety {
 public:
  // See models::SafetyChecker.
  explicit Safety(const std::string& path, Device device = Device::kCpu) : checker_(path, device) {}

  const models::SafetyChecker& checker() const { return checker_; }
  // For the memory plan: the weights, mapped ones too, and what checking one picture takes beside them.
  int64_t bytes() const { return checker_.weight_bytes() + checker_.activation_bytes(); }

  // Throws Error(kData) for a picture that safety_square does not take, and if the checker's file has changed.
  models::SafetyReport check(const Image& picture) const;
  // Makes a flagged picture black, as diffusers does; returns whether it did.
  bool censor(Image& picture) const;

 private:
  models::SafetyChecker checker_;
};

// The checkers of an engine: each is opened once and lives as long as a job or a model holds it.
class SafetyCheckers {
 public:
  // Throws as models::SafetyChecker.
  std::shared_ptr<const Safety> open(const std::string& path, Device device = Device::kCpu);

 private:
  std::mutex mutex_;
  std::map<std::pair<std::string, Device>, std::weak_ptr<const Safety>> open_;
};

}  // namespace sumi::engine
