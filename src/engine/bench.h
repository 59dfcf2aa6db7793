// How fast the three networks run here, and what share of the machine's multiply-add peak that is.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "models/stable_diffusion.h"
#include "ops/profile.h"

namespace sumi::engine {

// The middle value, or the mean of the two in the middle.
double median(std::vector<double> values);

// Smooth values of about unit size, size·sin(pitch·i): no denormals, and no zeros that a kernel could profit from.
Tensor waves(const Shape& shape, Device device = Device::kCpu, double pitch = 0.7, double size = 1.4);

struct BenchOptions {
  int repetitions = 3;   // medians are reported
  std::string only;      // one of bench_names(), or empty for all
  int64_t size = 512;    // pixels a side of the picture
  bool profile = false;  // record the time of every op by shape
  // Makes what "train_step" measures; without it that benchmark does not exist.
  std::function<std::function<void()>()> train_step = {};
};

struct BenchLine {
  std::string name;
  double seconds;                           // median
  double gflop;                             // counted for direct convolution
  std::vector<Profile::Line> profile = {};  // of the last repetition, the longest first, if requested
  double gflops() const { return gflop / seconds; }
};

struct BenchResult {
  double fma_peak_gflops;  // measured before, between and after the repetitions; median
  std::vector<BenchLine> lines;
};

// "unet_step" (batch 2: guidance), "vae_decode" (one picture), "text_encode" (batch 2 of 77 ids), "train_step" (not of
// this model, see BenchOptions).
const std::vector<std::string>& bench_names();

// Runs each network once to warm up and then `repetitions` times. `on_run(name, repetition, repetitions)` is called
// before each. Throws Error(kUsage) for an unknown name.
BenchResult run_bench(const models::StableDiffusion& model, const BenchOptions& options,
                      const std::function<void(const std::string&, int, int)>& on_run = {});

}  // namespace sumi::engine
