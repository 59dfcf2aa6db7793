#include "engine/given.h"

#include <filesystem>

#include "base/base64.h"
#include "base/check.h"
#include "base/fnv1a.h"
#include "base/text_util.h"
#include "image/mask.h"
#include "image/png.h"
#include "image/read.h"

namespace sumi::engine {
namespace {

constexpr std::string_view kData = "data:";
constexpr int64_t kMostPixels = 4 * image::kMaxPixels;  // of all pictures of a request

std::vector<std::byte> bytes_of_data(std::string_view text, std::string_view field) {
  const size_t comma = text.find(',');
  const std::string_view head = text.substr(0, comma);
  SUMI_CHECK_KIND(kUsage, comma != std::string_view::npos && head.ends_with(";base64"),
                  "{} begins with \"data:\" but not as \"data:image/png;base64,…\"", field);
  auto bytes = from_base64(text.substr(comma + 1));
  SUMI_CHECK_KIND(kUsage, bytes, "{} is not whole: what comes after \"base64,\" is not base64", field);
  return std::move(*bytes);
}

}  // namespace

std::string hash_of(std::span<const std::byte> bytes) {
  Fnv1a hash;
  hash.add(bytes);
  return hash.hex();
}

GivenBytes read_given(const std::string& text, std::string_view field) {
  GivenBytes given;
  if (text.starts_with(kData)) {
    given.bytes = bytes_of_data(text, field);
    given.shown = field;
  } else {
    given.bytes = image::read_file({.path = text});
    given.shown = excerpt(text);
    given.source.name = std::filesystem::path(text).filename().string();
  }
  given.source.hash = hash_of(given.bytes);
  return given;
}

GivenPictures read_pictures(const Request& request) {
  GivenPictures out;
  int64_t pixels = 0;
  const auto counted = [&](image::Image picture) {
    pixels += picture.width * picture.height;
    SUMI_CHECK(pixels <= kMostPixels, "the pictures given have together more than {} megapixels", kMostPixels >> 20);
    return picture;
  };
  const image::Colour background = image::colour_of(request.background.value_or("white"));
  const auto picture = [&](const std::string& text, const std::string& field) -> GivenPicture {
    GivenBytes given = read_given(text, field);
    return {counted(image::decode_picture(given.bytes, given.shown, background)), std::move(given.source)};
  };
  if (!request.init.empty()) out.init = picture(request.init, "`init`");
  if (!request.mask.empty()) {
    GivenBytes given = read_given(request.mask, "`mask`");
    out.mask = {counted(image::decode_mask(given.bytes, given.shown)), std::move(given.source)};
  }
  for (size_t i = 0; i < request.controls.size(); ++i)
    out.hints.push_back(picture(request.controls[i].image, fmt::format("`controls[{}].image`", i)));
  return out;
}

}  // namespace sumi::engine
