#include "app/cli/probe_io.h"

#include <algorithm>
#include <cctype>

#include "app/cli/output.h"
#include "app/cli/process.h"
#include "base/check.h"
#include "io/safetensors.h"
#include "ops/layout.h"

namespace sumi::app {

ProbeInput::ProbeInput(const std::string& path) : path_(path), file_(io::open_checkpoint(path)) {}

std::string ProbeInput::metadata(const std::string& key) const {
  const auto found = file_->metadata().find(key);
  return found == file_->metadata().end() ? std::string() : found->second;
}

std::vector<std::string> ProbeInput::find_endings(const std::string& stem) const {
  std::vector<std::string> found;
  for (const io::TensorInfo& info : file_->tensors()) {
    if (!info.name.starts_with(stem)) continue;
    const std::string ending = info.name.substr(stem.size());
    if (std::all_of(ending.begin(), ending.end(), [](char c) { return c >= '0' && c <= '9'; })) found.push_back(ending);
  }
  return found;
}

std::vector<std::string> ProbeInput::endings(const std::string& stem) const {
  std::vector<std::string> found = find_endings(stem);
  SUMI_CHECK(!found.empty(), "{}: holds no tensor \"{}\"", path_, stem);
  return found;
}

bool ProbeInput::has_any(const std::string& stem) const { return !find_endings(stem).empty(); }

std::string ProbeInput::resolve(const std::string& stem, const std::string& ending) const {
  return has(stem + ending) ? stem + ending : stem;
}

Tensor ProbeInput::get(const std::string& name) const {
  SUMI_CHECK(has(name), "{}: holds no tensor \"{}\"", path_, name);
  Tensor tensor = file_->tensor(name);
  SUMI_CHECK(tensor.numel() > 0, "{}: the tensor \"{}\" is empty", path_, name);
  return tensor;
}

Tensor ProbeInput::floats(const std::string& name, int rank) const {
  Tensor tensor = get(name);
  SUMI_CHECK(tensor.rank() == rank, "{}: \"{}\" must have {} dimensions, not the shape {}", path_, name, rank,
             tensor.shape().str());
  SUMI_CHECK(is_floating(tensor.dtype()), "{}: \"{}\" must hold floating-point values, not {}", path_, name,
             name_of(tensor.dtype()));
  return tensor.dtype() == DType::kF32 ? tensor : cast(tensor, DType::kF32);
}

Tensor ProbeInput::image(const std::string& name) const { return nchw_to_nhwc(floats(name, 4)); }

Tensor ProbeInput::ids(const std::string& name, int rank) const {
  Tensor tensor = get(name);
  SUMI_CHECK(tensor.dtype() == DType::kI64 && tensor.rank() == rank,
             "{}: \"{}\" must hold i64 in {} dimensions, not {} {}", path_, name, rank, name_of(tensor.dtype()),
             tensor.shape().str());
  return tensor;
}

std::vector<double> ProbeInput::numbers(const std::string& name, int64_t count) const {
  const Tensor tensor = get(name);
  SUMI_CHECK(tensor.numel() == count || tensor.numel() == 1, "{}: \"{}\" holds {} numbers where {} are needed", path_,
             name, tensor.numel(), count);
  std::vector<double> values;
  const auto take = [&](const auto& from) {
    for (const auto value : from) values.push_back(static_cast<double>(value));
  };
  switch (tensor.dtype()) {
    case DType::kI64: take(HostView<int64_t>(tensor)); break;
    case DType::kI32: take(HostView<int32_t>(tensor)); break;
    case DType::kF64: take(HostView<double>(tensor)); break;
    default: take(HostView<float>(floats(name, tensor.rank())));
  }
  values.resize(static_cast<size_t>(count), values[0]);
  return values;
}

ProbeOutput::ProbeOutput(std::string path) : path_(std::move(path)) { check_writable_file(path_); }

void ProbeOutput::add_image(const std::string& name, const Tensor& image) { add(name, nhwc_to_nchw(image)); }

void ProbeOutput::write() const {
  const SignalsWait wait;
  io::write_safetensors(path_, tensors_);
}

}  // namespace sumi::app
