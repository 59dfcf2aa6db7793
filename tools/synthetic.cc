#include "tools/synthetic.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/check.h"
#include "base/parallel.h"

// Products and sums below round separately, as the rule says: this file is compiled without contraction to FMA.

namespace sumi::tools {
namespace {

uint64_t fnv1a(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

float uniform(uint64_t seed, int64_t index) {
  uint64_t z = seed + static_cast<uint64_t>(index + 1) * 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  z = z ^ (z >> 31);
  return static_cast<float>(static_cast<int32_t>(z >> 40)) * 0x1p-23f - 1.0f;
}

// value = offset + scale * u
struct Affine {
  float offset;
  float scale;
};

Affine affine_for(std::string_view name, const Shape& shape) {
  if (shape.rank() == 1) return name.ends_with("weight") ? Affine{1.0f, 0.1f} : Affine{0.0f, 0.05f};
  if (name.find("embedding") != std::string_view::npos) return {0.0f, 0.05f};
  const int64_t fan_in = shape[0] > 0 ? shape.numel() / shape[0] : 1;
  return {0.0f, static_cast<float>(std::sqrt(3.0 / static_cast<double>(fan_in)))};
}

void convert(std::span<const float> values, DType dtype, std::byte* out) {
  switch (dtype) {
    case DType::kF32: std::copy(values.begin(), values.end(), reinterpret_cast<float*>(out)); return;
    case DType::kF16:
      std::transform(values.begin(), values.end(), reinterpret_cast<Half*>(out), [](float v) { return to_half(v); });
      return;
    case DType::kBF16:
      std::transform(values.begin(), values.end(), reinterpret_cast<BFloat16*>(out),
                     [](float v) { return to_bfloat16(v); });
      return;
    default: fail(ErrorKind::kUsage, "synthetic weights come as f32, f16 or bf16, not {}", name_of(dtype));
  }
}

// The noise schedule's buffers as the original registers them: computed in double, kept as float.
std::vector<float> schedule_buffer(const std::string& name, int64_t steps) {
  const models::ModelConfig config;
  const double first = std::sqrt(config.linear_start);
  const double last = std::sqrt(config.linear_end);
  std::vector<float> out;
  double kept = 1.0;  // the running product of 1 - beta
  for (int64_t i = 0; i < steps; ++i) {
    const double root = first + (last - first) * static_cast<double>(i) / static_cast<double>(steps - 1);
    const double before = kept;
    kept *= 1.0 - root * root;
    out.push_back(static_cast<float>(name == "betas" ? root * root : name == "alphas_cumprod" ? kept : before));
  }
  return out;
}

}  // namespace

void synthetic_values(std::string_view name, const Shape& shape, int64_t first, std::span<float> out) {
  const uint64_t seed = fnv1a(name);
  const Affine affine = affine_for(name, shape);
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = affine.offset + affine.scale * uniform(seed, first + static_cast<int64_t>(i));
  }
}

Tensor synthetic_tensor(const LayoutEntry& entry, DType dtype) {
  if (entry.name.ends_with("position_ids")) {
    std::vector<int64_t> ids(static_cast<size_t>(entry.shape.numel()));
    std::iota(ids.begin(), ids.end(), int64_t{0});
    return Tensor::from(ids, entry.shape);
  }
  Tensor out = Tensor::empty(entry.shape, dtype);
  const HostEdit<std::byte> to(out);
  if (entry.component.empty()) {
    convert(schedule_buffer(entry.name, entry.shape.numel()), dtype, to.data());
    return out;
  }
  constexpr int64_t kBlock =
      1 << 16;  // values a task makes: long enough to pay for the hand-out, short enough for cache
  parallel_for((out.numel() + kBlock - 1) / kBlock, [&](int64_t task) {
    const int64_t first = task * kBlock;
    std::vector<float> values(static_cast<size_t>(std::min(kBlock, out.numel() - first)));
    synthetic_values(entry.name, entry.shape, first, values);
    convert(values, dtype, to.data() + first * size_of(dtype));
  });
  return out;
}

}  // namespace sumi::tools
