#include "models/loading/bind.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <set>

#include "base/log.h"
#include "base/parallel.h"
#include "base/text_util.h"
#include "core/quantized.h"
#include "models/loading/averages.h"
#include "models/loading/prefixes.h"
#include "ops/layout.h"

namespace sumi::models {
namespace {

constexpr int64_t kScanWhole = 256 << 20;
constexpr int64_t kSample = 4096;

const io::TensorInfo* find_parameter(const io::Checkpoint& checkpoint, const std::string& name, bool use_ema) {
  const io::TensorInfo* plain = checkpoint.find(name);
  const std::string flat = average_name(name);
  const io::TensorInfo* average = flat.empty() ? nullptr : checkpoint.find(flat);
  if (use_ema && average != nullptr) return average;
  return plain != nullptr ? plain : average;
}

// Tensors stored with a network that are known not to be parameters.
bool is_ignorable(const std::string& name) {
  return name.ends_with("position_ids") || name.ends_with(".scale_input") || name.ends_with(".input_scale") ||
         name.ends_with("scaled_fp8") || name.starts_with(std::string(kVaePrefix) + "loss.") ||
         name.starts_with(std::string(kVaePrefix) + "model_ema.");
}

// "a.b.3.c.weight" → "a.b.3.c".
std::string parent_of(const std::string& name) {
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? std::string() : name.substr(0, dot);
}

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// The modules of a network: those that have parameters of their own, and the lists "a.b." whose next part is a number.
struct Modules {
  std::set<std::string> layers, lists;
  void add(const std::string& parameter) {
    layers.insert(parent_of(parameter));
    for (size_t dot = parameter.find('.'); dot != std::string::npos; dot = parameter.find('.', dot + 1)) {
      const size_t next = parameter.find('.', dot + 1);
      if (next != std::string::npos && is_number(std::string_view(parameter).substr(dot + 1, next - dot - 1)))
        lists.insert(parameter.substr(0, dot + 1));
    }
  }
  // Whether a network that has this tensor as well computes something else: it is another parameter of a layer that is
  // there, or of one more block in a row.
  bool would_change_by(const std::string& name) const {
    constexpr size_t kMaxNameBytes = 512;
    if (name.size() > kMaxNameBytes || layers.contains(parent_of(name))) return true;
    for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1)) {
      const size_t next = name.find('.', dot + 1);
      if (next != std::string::npos && lists.contains(name.substr(0, dot + 1)) &&
          is_number(std::string_view(name).substr(dot + 1, next - dot - 1)))
        return true;
    }
    return false;
  }
};

bool has_shape(const nn::Param& param, const Shape& shape) {
  if (shape == param.shape) return true;
  if (!param.reshape_allowed || shape.rank() < 2 || shape.numel() != param.shape.numel()) return false;
  return shape[0] == param.shape[0] && shape[1] == param.shape[1];  // a matrix and a 1x1 convolution
}

std::string first_five(const char* what, const std::vector<std::string>& names) {
  if (names.empty()) return {};
  const std::vector<std::string> shown(names.begin(),
                                       names.begin() + static_cast<ptrdiff_t>(std::min<size_t>(5, names.size())));
  return fmt::format("; {} {}: {}{}", names.size(), what, fmt::join(shown, ", "), names.size() > 5 ? ", …" : "");
}

int64_t bytes_in(const io::Checkpoint& checkpoint) {
  int64_t total = 0;
  for (const io::TensorInfo& info : checkpoint.tensors()) total += bytes_of(info.dtype, info.shape.numel());
  return total;
}

// Looks at every `step`-th value.
template <class T> int64_t count_non_finite_of(const Tensor& tensor, int64_t step) {
  constexpr int64_t kChunk = 1 << 16;
  const HostView<T> values(tensor);
  const int64_t count = values.size();
  const int64_t looks = (count + step - 1) / step;
  std::atomic<int64_t> found{0};
  parallel_for((looks + kChunk - 1) / kChunk, [&](int64_t task) {
    int64_t here = 0;
    for (int64_t i = task * kChunk; i < std::min(looks, (task + 1) * kChunk); ++i)
      here += std::isfinite(to_float(values[i * step])) ? 0 : 1;
    found += here;
  });
  return found;
}

// A block's scale that is not finite makes all of its values so.
int64_t count_non_finite_blocks(const Tensor& tensor, int64_t limit) {
  const HostView<std::byte> bytes(tensor);
  const int64_t block = block_of(tensor.dtype()), size = bytes_of_block(tensor.dtype());
  const int64_t blocks = tensor.numel() / block,
                step = std::max<int64_t>(1, tensor.numel() / std::max<int64_t>(1, limit));
  std::atomic<int64_t> found{0};
  constexpr int64_t kChunk = 4096;
  const int64_t looks = (blocks + step - 1) / step;
  parallel_for((looks + kChunk - 1) / kChunk, [&](int64_t task) {
    float values[kSuperBlock];
    for (int64_t i = task * kChunk; i < std::min(looks, (task + 1) * kChunk); ++i) {
      dequantize_block(tensor.dtype(), bytes.data() + i * step * size, values);
      found += std::isfinite(values[0]) ? 0 : block;
    }
  });
  return found;
}

}  // namespace

void BindReport::check() const {
  if (missing.empty() && unexpected.empty() && misshapen.empty()) {
    if (!unneeded.empty())
      warn("{}: {} tensors that no network here has are left out: {}{}", file, unneeded.size(),
           fmt::join(unneeded.begin(), unneeded.begin() + static_cast<ptrdiff_t>(std::min<size_t>(5, unneeded.size())),
                     ", "),
           unneeded.size() > 5 ? ", …" : "");
    return;
  }
  fail(ErrorKind::kData, "{}: does not fit its configuration{}{}{}", file, first_five("missing", missing),
       first_five("misshapen", misshapen), first_five("unexpected", unexpected));
}

int64_t count_non_finite(const Tensor& tensor, int64_t limit) {
  const int64_t count = tensor.numel(), step = std::max<int64_t>(1, count / std::max<int64_t>(1, limit));
  switch (tensor.dtype()) {
    case DType::kF32: return count_non_finite_of<float>(tensor, step);
    case DType::kF16: return count_non_finite_of<Half>(tensor, step);
    case DType::kBF16: return count_non_finite_of<BFloat16>(tensor, step);
    default: return is_quantized(tensor.dtype()) ? count_non_finite_blocks(tensor, limit) : 0;
  }
}

void warn_of_non_finite(const std::string& file, const std::string& name, const Tensor& tensor, int64_t limit) {
  const int64_t bad = count_non_finite(tensor, limit);
  if (bad > 0) warn("{}: tensor \"{}\" has {} values that are not finite", file, name, bad);
}

void bind_module(nn::Module& module, const io::Checkpoint& checkpoint, const std::string& prefix, BindReport& report,
                 const BindOptions& options) {
  report.file = checkpoint.path().string();
  const int64_t scan = bytes_in(checkpoint) <= kScanWhole ? std::numeric_limits<int64_t>::max() : kSample;
  std::set<std::string> taken;
  Modules modules;
  nn::for_each_param(module, prefix, [&](const std::string& name, nn::Param& param) {
    taken.insert(name);
    modules.add(name);
    if (options.skip && options.skip(name)) return;
    const io::TensorInfo* info = find_parameter(checkpoint, name, options.use_ema);
    if (info == nullptr) return report.missing.push_back(name);
    if (!has_shape(param, info->shape)) {
      return report.misshapen.push_back(
          fmt::format("{} is {} and should be {}", name, info->shape.str(), param.shape.str()));
    }
    SUMI_CHECK(is_weight_type(info->dtype) || is_converted(info->dtype),
               "{}: tensor \"{}\" has the type {}; weights may be f32, f16, bf16, f64, f8_e4m3, f8_e5m2 or quantised",
               report.file, strip_control(info->name), name_of(info->dtype));
    Tensor value = checkpoint.tensor(info->name);
    if (value.dtype() == DType::kF64) value = cast(value, DType::kF32);
    if (is_float8(value.dtype())) value = cast(cast(value, DType::kF32), DType::kF16);  // which holds all their values
    warn_of_non_finite(report.file, info->name, value, scan);
    param.value = value.to(options.device);
  });
  for (const io::TensorInfo& info : checkpoint.tensors()) {
    if (!info.name.starts_with(prefix) || taken.contains(info.name) || is_ignorable(info.name)) continue;
    (modules.would_change_by(info.name) ? report.unexpected : report.unneeded).push_back(strip_control(info.name));
  }
}

}  // namespace sumi::models
