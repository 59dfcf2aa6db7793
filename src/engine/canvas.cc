#include "engine/canvas.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "image/layers.h"
#include "image/png.h"
#include "image/resize.h"

namespace sumi::engine {
namespace {

using image::Image;

// How far the drawn part reaches into the picture that is extended: it must see what it continues.
constexpr int64_t kOverlap = 8;

int64_t floor_to(int64_t pixels, int64_t multiple) { return pixels / multiple * multiple; }
int64_t ceil_to(int64_t pixels, int64_t multiple) { return floor_to(pixels + multiple - 1, multiple); }

// White where either is.
Image either(const Image& a, const Image& b) {
  Image out = a;
  for (size_t i = 0; i < out.pixels.size(); ++i) out.pixels[i] = std::max(a.pixels[i], b.pixels[i]);
  return out;
}

class Maker {
 public:
  Maker(const GivenPictures& given, const CanvasOptions& options) : o_(options), picture_(given.init->image) {
    if (given.mask) take_mask(given.mask->image);
    if (!o_.extend.empty()) extend();
  }

  Canvas operator()() {
    if (mask_.pixels.empty()) return whole_picture();
    const bool any = std::any_of(mask_.pixels.begin(), mask_.pixels.end(), [](uint8_t value) { return value >= 128; });
    SUMI_CHECK_KIND(kUsage, any,
                    "the mask is black all over, so nothing would be drawn: what is white is drawn anew "
                    "(`mask_invert` turns it round)");
    if (!o_.padding && (o_.width || o_.height)) {
      const int64_t width = o_.width.value_or(picture_.width), height = o_.height.value_or(picture_.height);
      check_drawn(width, height);
      picture_ = image::resize_to_fit(picture_, width, height, fit());
      mask_ = image::resize_to_fit(mask_, width, height, fit());
    }
    return o_.padding ? region() : masked_picture();
  }

 private:
  image::Fit fit() const { return image::fit_of(o_.resize); }

  void take_mask(const Image& mask) {
    mask_ = mask.width == picture_.width && mask.height == picture_.height
                ? mask
                : image::resize(mask, picture_.width, picture_.height, image::Filter::kLanczos);
    if (o_.invert) mask_ = image::inverted(mask_);
  }

  void extend() {
    const int64_t left = o_.extend[0], right = o_.extend[1], top = o_.extend[2], bottom = o_.extend[3];
    image::check_pixels(picture_.width + left + right, picture_.height + top + bottom, "the extended picture");
    const image::Margins margins{left, right, top, bottom};
    image::Extended larger = image::extend(picture_, margins, kOverlap);
    picture_ = std::move(larger.picture);
    if (!mask_.pixels.empty()) larger.mask = either(larger.mask, image::extend(mask_, margins).picture);
    mask_ = std::move(larger.mask);
  }

  Canvas whole_picture() const {
    const int64_t multiple = o_.convention == Convention::kOriginal ? std::max<int64_t>(32, o_.multiple) : o_.multiple;
    const int64_t width = o_.width.value_or(floor_to(picture_.width, multiple));
    const int64_t height = o_.height.value_or(floor_to(picture_.height, multiple));
    SUMI_CHECK_KIND(kUsage, width > 0 && height > 0,
                    "the picture to begin from has {}x{} pixels, and each side must have at least {}; give `width` and "
                    "`height` to enlarge it",
                    picture_.width, picture_.height, multiple);
    check_drawn(width, height);
    return {.picture = image::resize_to_fit(picture_, width, height, fit())};
  }

  // Its copies in several forms come before the memory plan.
  static void check_drawn(int64_t width, int64_t height) {
    SUMI_CHECK_KIND(kUsage, width * height <= image::kMaxPixels,
                    "a picture to begin from can be brought to {} megapixels, not to {}x{}", image::kMaxPixels >> 20,
                    width, height);
  }

  Canvas filled(Canvas canvas) const {
    if (o_.content == MaskContent::kFill) canvas.picture = image::fill_under(canvas.picture, *canvas.soft_mask);
    return canvas;
  }

  // Each direction is rounded to 8 bits: little of a small mask is left by a wide blur, or nothing.
  Image softened() const {
    Image soft = image::soften(mask_, static_cast<double>(o_.blur));
    const bool any = std::any_of(soft.pixels.begin(), soft.pixels.end(), [](uint8_t value) { return value != 0; });
    SUMI_CHECK_KIND(kUsage, any || o_.blur == 0, "`mask_blur` {} leaves nothing of so small a mask; lower it", o_.blur);
    return soft;
  }

  // The canvas is the picture with edges drawn out to whole multiples, which finish() cuts off.
  Canvas masked_picture() const {
    const Image soft = softened();
    const int64_t right = ceil_to(picture_.width, o_.multiple) - picture_.width;
    const int64_t bottom = ceil_to(picture_.height, o_.multiple) - picture_.height;
    const auto grown = [&](const Image& image) {
      return image::extend(image, {.right = right, .bottom = bottom}).picture;
    };
    return filled({.picture = grown(picture_),
                   .mask = grown(mask_),
                   .soft_mask = grown(soft),
                   .whole = picture_,
                   .whole_mask = soft});
  }

  Canvas region() const {
    const Image soft = softened();
    const int64_t width = o_.width.value_or(o_.default_size), height = o_.height.value_or(o_.default_size);
    const image::Box box = image::region_around(*image::box_of(soft), {.padding = *o_.padding,
                                                                       .width = width,
                                                                       .height = height,
                                                                       .picture_width = picture_.width,
                                                                       .picture_height = picture_.height});
    const auto part = [&](const Image& image) {
      return image::resize_to_fit(image::crop(image, box.left, box.top, box.width, box.height), width, height,
                                  image::Fit::kFill);
    };
    return filled({.picture = part(picture_),
                   .mask = part(mask_),
                   .soft_mask = part(soft),
                   .whole = picture_,
                   .whole_mask = soft,
                   .region = box});
  }

  const CanvasOptions& o_;
  Image picture_, mask_;  // the mask has no pixels where there is none
};

}  // namespace

Image Canvas::finish(const Image& drawn) const {
  if (!mask) return drawn;
  if (region) return image::put_back(whole, drawn, whole_mask, *region);
  return image::put_back(whole, image::crop(drawn, 0, 0, whole.width, whole.height), whole_mask);
}

Canvas make_canvas(const GivenPictures& given, const CanvasOptions& options) { return Maker(given, options)(); }

void check_latent_mask(const Canvas& canvas, int64_t height, int64_t width, Convention convention) {
  const Tensor mask = latent_mask(canvas, height, width, convention);
  const HostView<float> points(mask);
  const bool any = std::any_of(points.begin(), points.end(), [](float point) { return point != 0.0f; });
  SUMI_CHECK_KIND(
      kUsage, any,
      "of the {}x{} points of the latent none is under the mask, so nothing would be drawn: give a mask that "
      "is larger than a point, lower `mask_blur`, and keep it inside what is drawn",
      width, height);
}

Tensor latent_mask(const Canvas& canvas, int64_t height, int64_t width, Convention convention) {
  const bool web = convention == Convention::kWebui;
  return Tensor::from(image::shrink_mask(web ? *canvas.soft_mask : *canvas.mask, width, height,
                                         web ? image::MaskShrink::kRounded : image::MaskShrink::kNearest),
                      {1, height, width, 1});
}

}  // namespace sumi::engine
