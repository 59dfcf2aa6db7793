#include "image/heif.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string_view>

#include "base/check.h"
#include "base/text_util.h"
#include "image/read.h"

#ifdef SUMI_WITH_HEIF
#include <libheif/heif.h>
#endif

namespace sumi::image {
namespace {

// What the brands say about the coding. kOther: a HEIF file whose brands do not name one.
enum class Coding { kNone, kHevc, kAv1, kOther };

// The box "ftyp": its size, its name, the major brand, a version, and the brands that the file is compatible with.
// (ISO/IEC 14496-12, 4.3; brands: ISO/IEC 23008-12, annex B, and AVIF 1.1, section 8)
Coding coding_of(std::span<const std::byte> bytes) {
  static constexpr std::array<std::string_view, 2> kAv1Brands{"avif", "avis"};
  static constexpr std::array<std::string_view, 8> kHevcBrands{"heic", "heix", "heim", "heis",
                                                               "hevc", "hevx", "hevm", "hevs"};
  static constexpr std::array<std::string_view, 3> kBrands{"mif1", "mif2", "msf1"};
  constexpr size_t kMostBytes = 1024;  // of brands; files have some 40
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), kMostBytes));
  if (text.size() < 12 || text.substr(4, 4) != "ftyp") return Coding::kNone;
  size_t size = 0;
  for (const char c : text.substr(0, 4)) size = size << 8 | static_cast<unsigned char>(c);
  const std::string_view box = text.substr(0, size);
  bool av1 = false, hevc = false, other = false;
  for (size_t at = 8; at + 4 <= box.size(); at += at == 8 ? 8 : 4) {
    const auto in = [&](const auto& brands) {
      return std::find(brands.begin(), brands.end(), box.substr(at, 4)) != brands.end();
    };
    av1 |= in(kAv1Brands);
    hevc |= in(kHevcBrands);
    other |= in(kBrands);
  }
  if (av1 != hevc) return av1 ? Coding::kAv1 : Coding::kHevc;
  return av1 || other ? Coding::kOther : Coding::kNone;
}

#ifdef SUMI_WITH_HEIF

template <auto kFree> struct Free {
  template <typename T> void operator()(T* what) const { kFree(what); }
};
using Context = std::unique_ptr<heif_context, Free<heif_context_free>>;
using Handle = std::unique_ptr<heif_image_handle, Free<heif_image_handle_release>>;
using Options = std::unique_ptr<heif_decoding_options, Free<heif_decoding_options_free>>;
using Decoded = std::unique_ptr<heif_image, Free<heif_image_release>>;

// `did`: what libheif answered.
void check(const heif_error& did, const std::string& name) {
  if (did.code == heif_error_Ok) return;
  std::string_view why = did.message != nullptr ? did.message : "no reason given";
  why = why.substr(0, why.find_last_not_of(" \n") + 1);
  fail(ErrorKind::kData, "{} is a HEIC or AVIF picture that libheif cannot decode: {}", name, excerpt(why));
}

void check_decoder(Coding coding, const std::string& name) {
  const bool av1 = coding == Coding::kAv1;
  if (!av1 && coding != Coding::kHevc) return;
  SUMI_CHECK(
      heif_have_decoder_for_format(av1 ? heif_compression_AV1 : heif_compression_HEVC) != 0,
      "{} is {} picture, and this system's libheif has no decoder for {}: install {}, or save the picture as PNG "
      "or JPEG",
      name, av1 ? "an AVIF" : "a HEIC", av1 ? "AV1" : "HEVC",
      av1 ? "its plugin for dav1d or aom (libheif-plugin-dav1d)" : "its plugin for libde265 (libheif-plugin-libde265)");
}

// The same as over() for a picture whose colours are multiplied by the opacity already; without a background they are
// divided by it.
Image premultiplied_over(const Image& rgba, const Background& background) {
  Image out(rgba.width, rgba.height, background ? 3 : 4);
  for (size_t i = 0; i < rgba.pixels.size() / 4; ++i) {
    const uint8_t* from = rgba.pixels.data() + 4 * i;
    uint8_t* to = out.pixels.data() + static_cast<size_t>(out.channels) * i;
    const int opacity = from[3];
    for (size_t c = 0; c < 3; ++c) {
      const int value = background     ? from[c] + ((*background)[c] * (255 - opacity) + 127) / 255
                        : opacity == 0 ? 0
                                       : (from[c] * 255 + opacity / 2) / opacity;
      to[c] = static_cast<uint8_t>(std::min(255, value));
    }
    if (!background) to[3] = from[3];
  }
  return out;
}

#endif

}  // namespace

bool is_heif(std::span<const std::byte> bytes) { return coding_of(bytes) != Coding::kNone; }

#ifdef SUMI_WITH_HEIF

Image decode_heif(std::span<const std::byte> bytes, const std::string& name, const Background& background) {
  static const heif_error ready = heif_init(nullptr);  // loads the plugins
  check(ready, name);
  check_decoder(coding_of(bytes), name);
  const Context context(heif_context_alloc());
  SUMI_CHECK_KIND(kUnavailable, context != nullptr, "no memory to read {}", name);
  check(heif_context_read_from_memory_without_copy(context.get(), bytes.data(), bytes.size(), nullptr), name);
  heif_image_handle* primary = nullptr;
  check(heif_context_get_primary_image_handle(context.get(), &primary), name);
  const Handle handle(primary);
  check_pixels(heif_image_handle_get_width(primary), heif_image_handle_get_height(primary), name);
  check_pixels(heif_image_handle_get_ispe_width(primary), heif_image_handle_get_ispe_height(primary), name);

  const Options options(heif_decoding_options_alloc());
  options->convert_hdr_to_8bit = 1;
  const bool layered = heif_image_handle_has_alpha_channel(primary) != 0;
  heif_image* picture = nullptr;
  check(heif_decode_image(primary, &picture, heif_colorspace_RGB,
                          layered ? heif_chroma_interleaved_RGBA : heif_chroma_interleaved_RGB, options.get()),
        name);
  const Decoded decoded(picture);
  int stride = 0;
  const uint8_t* rows = heif_image_get_plane_readonly(picture, heif_channel_interleaved, &stride);
  const int width = heif_image_get_width(picture, heif_channel_interleaved);
  const int height = heif_image_get_height(picture, heif_channel_interleaved);
  SUMI_CHECK(rows != nullptr && width > 0 && height > 0, "{} is a broken HEIC or AVIF picture", name);
  check_pixels(width, height, name);
  Image image(width, height, layered ? 4 : 3);
  for (int64_t y = 0; y < height; ++y)
    std::memcpy(image.row(y), rows + y * stride, static_cast<size_t>(width * image.channels));
  if (!layered) return image;
  return heif_image_handle_is_premultiplied_alpha(primary) != 0 ? premultiplied_over(image, background)
                                                                : over(image, background);
}

#else

Image decode_heif(std::span<const std::byte>, const std::string& name, const Background&) {
  fail(ErrorKind::kData,
       "{} is a HEIC or AVIF picture, and this sumi is built without libheif: save it as PNG or JPEG, or build sumi "
       "where "
       "libheif's development files (libheif-dev) are installed",
       name);
}

#endif

}  // namespace sumi::image
