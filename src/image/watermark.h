// The invisible watermark that Stable Diffusion's own programs put into their pictures: bits in the wavelet
// coefficients of one colour plane, repeated over the picture ("dwtDct" of the package invisible-watermark).
//
// Each block of 4x4 low-pass Haar coefficients (8x8 pixels) of the plane U carries one bit, the bits one after another
// and again from the first: the largest coefficient but the first is moved to 1/4 or 3/4 of its step of 36.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"
#include "image/image.h"

namespace sumi::image {

// What CompVis' scripts write.
inline constexpr std::string_view kWatermarkText = "StableDiffusionV1";
// Smaller pictures carry none.
inline constexpr int64_t kLeastWatermarkPixels = 256 * 256;

// 0 or 1 each.
using Bits = std::vector<uint8_t>;

// The bits of a text of 3 to 128 bytes, each byte's highest first: fewer could not be told from chance, more do not fit
// into the smallest picture. Throws Error(kUsage).
Bits watermark_bits(std::string_view text);
// The text of as many whole bytes as there are.
std::string text_of(const Bits& bits);
// The 48 bits that diffusers puts into pictures of SDXL.
const Bits& sdxl_watermark_bits();

// Puts the bits into an RGB picture: the package's bytes, so that other decoders read them. Colours change by a few
// levels; in saturated places single pixels wrap round, and bits are lost, as they are there. Throws Error(kUsage) for
// fewer than kLeastWatermarkPixels.
void embed_watermark(Image& image, const Bits& bits);

// The first `count` bits as the package's decoder reads them: of each bit what most of its blocks say. A picture
// without a watermark gives bits too. Throws Error(kUsage) for fewer than kLeastWatermarkPixels.
Bits decode_watermark(const Image& image, size_t count);

// Puts the bits into pictures [N,H,W,3] f32 in [-1, 1], on any device, before they are rounded to 8 bits. Pictures
// narrower than 256 pixels stay as they are.                            (diffusers, StableDiffusionXLWatermarker)
void embed_sdxl_watermark(Tensor& pictures, const Bits& bits = sdxl_watermark_bits());

// Bits that were put in before rounding: the plane is taken without rounding too. (The package's decoder rounds it and
// loses most of them.)
Bits decode_sdxl_watermark(const Image& image, size_t count);

// How many of the bits are equal.
int64_t agreeing_bits(const Bits& a, const Bits& b);
// The least number of agreeing bits, of `count`, that random bits reach less than once in ten million pictures.
int64_t convincing_bits(int64_t count);

}  // namespace sumi::image
