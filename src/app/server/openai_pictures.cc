#include "app/server/openai_pictures.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "app/server/picture_head.h"
#include "base/base64.h"
#include "base/check.h"
#include "engine/resolve.h"
#include "image/png.h"
#include "image/read.h"

namespace sumi::app {
namespace {

constexpr int64_t kLargestUnasked = 1024 * 1024;  // pixels of an edit whose size the client left open
constexpr int64_t kMultiple = 8;
constexpr uint8_t kOpaqueFrom = 129;  // image::mask_of's

// What is known of a picture's file.
struct Look {
  int64_t width = 0, height = 0;  // upright
  bool has_opacity = false, is_see_through = false;
};

BadField broken(const char* field, const std::string& sentence) { return {sentence, field, "invalid_image_file"}; }

const FormPart* file_of(const std::vector<FormPart>& form, std::initializer_list<std::string_view> names) {
  const FormPart* found = nullptr;
  for (const FormPart& part : form) {
    if (std::find(names.begin(), names.end(), part.name) == names.end()) continue;
    const std::string name(*names.begin());
    if (found != nullptr)
      throw BadField(fmt::format("give one file as `{}`: several pictures cannot be combined here", name), name,
                     "invalid_value");
    if (part.body.empty()) throw BadField(fmt::format("the file given as `{}` is empty", name), name, "invalid_value");
    found = &part;
  }
  return found;
}

bool is_see_through(const image::Image& picture) {
  if (picture.channels != 4) return false;
  for (size_t i = 3; i < picture.pixels.size(); i += 4)
    if (picture.pixels[i] < kOpaqueFrom) return true;
  return false;
}

// Decodes it.
Look look_at(const FormPart& part, const char* field) {
  const auto bytes = std::as_bytes(std::span(part.body));
  try {
    const image::Image picture =
        image::decode_picture({bytes.begin(), bytes.end()}, fmt::format("the file given as `{}`", field), {});
    return {picture.width, picture.height, picture.channels == 4, is_see_through(picture)};
  } catch (const Error& error) {
    throw broken(field, error.what());
  }
}

// Both are in memory at once when the job begins.
void check_pixels(int64_t image, int64_t mask) {
  if (image > image::kMaxPixels)
    throw broken("image",
                 fmt::format("the file given as `image` has more than {} megapixels", image::kMaxPixels >> 20));
  if (image + mask > image::kMaxPixels)
    throw broken("mask", fmt::format("`image` and `mask` have together more than {} megapixels; make both smaller",
                                     image::kMaxPixels >> 20));
}

int64_t pixels_of(const std::optional<PictureHead>& head) { return head ? head->width * head->height : 0; }

// Decodes it only where the head leaves open what matters: with a mask its size, else its opacity, and its proportions
// where a size is chosen for it.
Look look_at_image(const FormPart& part, const std::optional<PictureHead>& head, bool masked, bool sized) {
  const bool exact = masked || (!sized && pixels_of(head) > kLargestUnasked);
  if (!head || (exact && head->may_be_turned) || (!masked && head->may_be_see_through)) return look_at(part, "image");
  return {.width = head->width, .height = head->height};
}

// A mask in OpenAI's form: a picture of the image's size, see-through where it is drawn anew.
void check_mask(const FormPart& part, const Look& image) {
  const auto refuse = [](const std::string& sentence) {
    return BadField(sentence, "mask", "invalid_mask_image_format");
  };
  const Look mask = look_at(part, "mask");
  if (mask.width != image.width || mask.height != image.height)
    throw refuse(
        fmt::format("Invalid mask image format - mask size does not match image size: `mask` is {}x{}, `image` "
                    "{}x{}",
                    mask.width, mask.height, image.width, image.height));
  if (!mask.has_opacity)
    throw refuse(
        "Invalid mask image format - mask image missing alpha channel: what is see-through in it is drawn anew");
  if (!mask.is_see_through)
    throw refuse("`mask` is opaque everywhere, so nothing would be drawn; make see-through what is to be drawn anew");
}

// sumi looks at the bytes, whatever the media type says.
std::string data_uri(std::string_view file) {
  return "data:image/png;base64," + base64_of(std::as_bytes(std::span(file)));
}

// A photograph at its own size would take hours.
void choose_size(const Look& image, OpenaiRequest& out) {
  Request& request = out.submission.request;
  if (request.width || image.width * image.height <= kLargestUnasked) return;
  const double scale = std::sqrt(static_cast<double>(kLargestUnasked) / static_cast<double>(image.width) /
                                 static_cast<double>(image.height));
  const auto side = [&](int64_t pixels) {
    const auto scaled = static_cast<int64_t>(static_cast<double>(pixels) * scale);
    return std::clamp(scaled / kMultiple * kMultiple, kMultiple, engine::kMaxSide);
  };
  request.width = side(image.width);
  request.height = side(image.height);
  out.notes.push_back(fmt::format("`image` is {}x{} and was drawn at {}x{}, about a megapixel; give `size` for another",
                                  image.width, image.height, *request.width, *request.height));
}

}  // namespace

void read_edit_pictures(const std::vector<FormPart>& form, OpenaiRequest& out) {
  const FormPart *image = file_of(form, {"image", "image[]"}), *mask = file_of(form, {"mask"});
  if (image == nullptr) throw BadField("Missing required parameter: 'image'.", "image", "missing_required_parameter");
  const auto head = picture_head(image->body), mask_head = mask ? picture_head(mask->body) : std::nullopt;
  check_pixels(pixels_of(head), pixels_of(mask_head));
  const Look look = look_at_image(*image, head, mask != nullptr, out.submission.request.width.has_value());
  check_pixels(look.width * look.height, pixels_of(mask_head));  // files of other kinds are known by now
  if (mask != nullptr) check_mask(*mask, look);
  choose_size(look, out);
  Request& request = out.submission.request;
  request.init = data_uri(image->body);
  // The engine's masks are opaque where it draws anew, so it is to turn them round.
  if (mask != nullptr) request.mask = data_uri(mask->body);
  if (mask == nullptr && look.is_see_through) request.mask = request.init;
  request.mask_invert = !request.mask.empty();
}

}  // namespace sumi::app
