// Puts a checkpoint's tensors into a module's parameters.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "nn/module.h"

namespace sumi::models {

struct BindOptions {
  Device device = Device::kCpu;
  bool use_ema = false;  // true: use the running average (LDM's `model_ema.`) if there is one; false: only if there is
                         // nothing else
  std::function<bool(const std::string& name)> skip = {};  // parameters that are left without a value
};

inline bool is_float8(DType dtype) { return dtype == DType::kF8E4M3 || dtype == DType::kF8E5M2; }

// Whether binding turns weights of the type into another: f64 to f32, 8-bit floats to f16.
inline bool is_converted(DType dtype) { return dtype == DType::kF64 || is_float8(dtype); }

// What did not fit, over one or several modules.
struct BindReport {
  std::string file;
  std::vector<std::string> missing, unexpected, misshapen;
  std::vector<std::string> unneeded;  // tensors that change nothing
  // Throws Error(kData) that lists the first five of each of the first three, unless everything fitted; then it warns
  // once of those that are not needed.
  void check() const;
};

// Binds each parameter of `module` to the tensor `prefix` + its name: as stored, in the file's type (see is_converted).
// Names under the prefix that no parameter took are unexpected if the network computes something else with them
// (another parameter of a layer that is there, one more block in a row), and else not needed. Values that are not
// finite are warned of; in files over 256 MB only a sample of each tensor is checked.
void bind_module(nn::Module& module, const io::Checkpoint& checkpoint, const std::string& prefix, BindReport& report,
                 const BindOptions& options = {});

// How many values are NaN or infinite, looking at up to `limit` of them, evenly spread.
int64_t count_non_finite(const Tensor& tensor, int64_t limit);

// Warns if the tensor `name` of the file `file` has such values.
void warn_of_non_finite(const std::string& file, const std::string& name, const Tensor& tensor, int64_t limit);

}  // namespace sumi::models
