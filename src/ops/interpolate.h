// Pictures and latents in other sizes, as PyTorch's `interpolate` makes them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/tensor.h"

namespace sumi {

// PyTorch's modes. Pixels are squares (align_corners false), but for kBilinearAlignCorners, where the outermost pixels
// of both sizes lie on each other. The antialiased modes stretch their filter where the picture shrinks, and their
// cubic has a = -0.5, where kBicubic has -0.75. kArea is the mean over the pixels that an output pixel touches.
enum class Interpolation : unsigned char {
  kNearest,
  kNearestExact,
  kBilinear,
  kBicubic,
  kBilinearAntialias,
  kBicubicAntialias,
  kBilinearAlignCorners,
  kArea
};

// Their names, for messages.
inline constexpr std::string_view kInterpolationNames =
    "nearest, nearest-exact, bilinear, bicubic, bilinear_antialias, bicubic_antialias, bilinear_align_corners, area";
// The mode of a name; none for another name.
std::optional<Interpolation> find_interpolation(std::string_view name);

// x [N,H,W,C] float32 → [N,height,width,C] on x's device. `scale`: the factor that height and width come from (see
// scaled_side), where PyTorch is given it instead of the size: the places of pixels are then taken from it and not from
// the sizes. kBilinearAlignCorners and kArea do not look at it. Throws Error(kData) for an empty size; has no gradient.
// Computed on the host, in float32.
Tensor interpolate(const Tensor& x, int64_t height, int64_t width, Interpolation mode,
                   std::optional<double> scale = {});

// The length that `side` pixels get by a scale factor: rounded down.
int64_t scaled_side(int64_t side, double scale);

}  // namespace sumi
