// Puts a checkpoint's tensors into a module's parameters.
#pragma once

#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "nn/module.h"

namespace sumi::models {

struct BindOptions {
  Device device = Device::kCpu;
  bool use_ema =
      false;  // take the running average (LDM's `model_ema.`) where the file has both; else where it has only that
};

// What did not fit, over one or several modules.
struct BindReport {
  std::string file;
  std::vector<std::string> missing, unexpected, misshapen;
  // Throws Error(kData) that lists the first five of each, unless everything fitted.
  void check() const;
};

// Binds each parameter of `module` to the tensor `prefix` + its name: as it lies in the file, in the file's type (f64
// becomes f32). Names under the prefix that no parameter took are unexpected. Values that are not finite are warned of;
// in files over 256 MB a sample of each tensor is looked at.
void bind_module(nn::Module& module, const io::Checkpoint& checkpoint, const std::string& prefix, BindReport& report,
                 const BindOptions& options = {});

// How many values are NaN or infinite, looking at up to `limit` of them, evenly spread.
int64_t count_non_finite(const Tensor& tensor, int64_t limit);

// Warns where there are such values in the tensor `name` of the file `file`.
void warn_of_non_finite(const std::string& file, const std::string& name, const Tensor& tensor, int64_t limit);

}  // namespace sumi::models
