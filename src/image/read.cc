#include "image/read.h"

#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>

#include "base/check.h"
#include "image/bmp.h"
#include "image/gif.h"
#include "image/heif.h"
#include "image/jpeg.h"
#include "image/png.h"

namespace sumi::image {
namespace {

// The first frame of an animated WebP; it points into the file.
struct FirstFrame {
  WebPDemuxer* demuxer;
  WebPIterator frame{};
  bool found;

  explicit FirstFrame(const WebPData& file)
      : demuxer(WebPDemux(&file)), found(demuxer != nullptr && WebPDemuxGetFrame(demuxer, 1, &frame) != 0) {}
  ~FirstFrame() {
    WebPDemuxReleaseIterator(&frame);
    WebPDemuxDelete(demuxer);
  }
  FirstFrame(const FirstFrame&) = delete;
  FirstFrame& operator=(const FirstFrame&) = delete;
};

// The Exif orientation of a WebP; 1 where there is none.
int webp_orientation(const WebPData& file) {
  WebPDemuxer* demuxer = WebPDemux(&file);
  if (demuxer == nullptr) return 1;
  WebPChunkIterator chunk;
  int orientation = 1;
  if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk) != 0) {
    orientation = exif_orientation({chunk.chunk.bytes, chunk.chunk.size});
    WebPDemuxReleaseChunkIterator(&chunk);
  }
  WebPDemuxDelete(demuxer);
  return orientation;
}

// Of an animation the first frame, over the background where it is smaller than the canvas.
Image decode_webp(const std::vector<std::byte>& bytes, const std::string& name, const Background& background) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  WebPBitstreamFeatures canvas;
  SUMI_CHECK(WebPGetFeatures(data, bytes.size(), &canvas) == VP8_STATUS_OK, "{} is a broken WebP", name);
  check_pixels(canvas.width, canvas.height, name);
  const bool layered = canvas.has_animation != 0 || canvas.has_alpha != 0;
  Image image(canvas.width, canvas.height, layered ? 4 : 3);  // see-through at first
  const int stride = static_cast<int>(image.channels) * canvas.width;
  const auto decode = [&](const uint8_t* from, size_t size, size_t begin) {
    uint8_t* to = image.pixels.data() + begin;
    const size_t room = image.pixels.size() - begin;
    return (layered ? WebPDecodeRGBAInto(from, size, to, room, stride)
                    : WebPDecodeRGBInto(from, size, to, room, stride)) != nullptr;
  };
  const WebPData file{data, bytes.size()};
  if (canvas.has_animation == 0) {
    SUMI_CHECK(decode(data, bytes.size(), 0), "{} is a broken WebP", name);
  } else {
    const FirstFrame first(file);  // which checks that the frame lies within the canvas
    const auto corner =
        static_cast<size_t>(image.channels * (int64_t{first.frame.y_offset} * canvas.width + first.frame.x_offset));
    SUMI_CHECK(first.found && decode(first.frame.fragment.bytes, first.frame.fragment.size, corner),
               "{} is a broken animated WebP", name);
  }
  if (layered) image = over(image, background);
  return turned_upright(image, webp_orientation(file));
}

bool begins_with(const std::vector<std::byte>& bytes, size_t at, std::string_view text) {
  return bytes.size() >= at + text.size() && std::memcmp(bytes.data() + at, text.data(), text.size()) == 0;
}

}  // namespace

std::vector<std::byte> read_file(const FilePart& part) {
  const std::filesystem::path& path = part.path;
  std::error_code error;  // reading a pipe or a device might never end
  SUMI_CHECK_KIND(kNoInput, std::filesystem::is_regular_file(path, error), "{} is not a file", path.string());
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  SUMI_CHECK_KIND(kNoInput, file, "cannot read {}", path.string());
  constexpr uint64_t kMaxFile = 512 << 20;
  const auto whole = static_cast<uint64_t>(std::max<std::streamoff>(file.tellg(), 0));
  SUMI_CHECK(part.offset <= whole && part.size.value_or(0) <= whole - part.offset, "{} is shorter than it was",
             path.string());
  const uint64_t size = part.size.value_or(whole - part.offset);
  SUMI_CHECK(size <= kMaxFile, "{} is not a picture file", path.string());
  std::vector<std::byte> bytes(size);
  file.seekg(static_cast<std::streamoff>(part.offset));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  SUMI_CHECK_KIND(kIo, file, "{} could not be read whole", path.string());
  return bytes;
}

void check_pixels(int64_t width, int64_t height, const std::string& name) {
  SUMI_CHECK(width * height <= kMaxPixels, "{} is {}x{}; pictures over {} megapixels are not read", name, width, height,
             kMaxPixels >> 20);
}

bool is_picture_name(const std::filesystem::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  static constexpr std::array<std::string_view, 8> kEndings{".png",  ".jpg",  ".jpeg", ".jpe",
                                                            ".jfif", ".webp", ".bmp",  ".gif"};
  if (std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end()) return true;
#ifdef SUMI_WITH_HEIF
  return ending == ".heic" || ending == ".heif" || ending == ".hif" || ending == ".avif";
#else
  return false;
#endif
}

std::string_view picture_kinds() {
#ifdef SUMI_WITH_HEIF
  return "PNG, JPEG, WebP, BMP, GIF, AVIF, HEIC";
#else
  return "PNG, JPEG, WebP, BMP, GIF";
#endif
}

Image read_picture(const FilePart& part, const std::string& name, const Colour& background) {
  return decode_picture(read_file(part), name.empty() ? part.path.string() : name, background);
}

Image decode_picture(const std::vector<std::byte>& bytes, const std::string& shown, const Background& background) {
  if (begins_with(bytes, 0, "\x89PNG")) return decode_png(bytes, shown, background).image;
  if (begins_with(bytes, 0, "\xFF\xD8")) return decode_jpeg(bytes, shown);
  if (begins_with(bytes, 0, "RIFF") && begins_with(bytes, 8, "WEBP")) return decode_webp(bytes, shown, background);
  if (begins_with(bytes, 0, "BM")) return decode_bmp(bytes, shown, background);
  if (begins_with(bytes, 0, "GIF87a") || begins_with(bytes, 0, "GIF89a")) return decode_gif(bytes, shown, background);
  if (is_heif(bytes)) return decode_heif(bytes, shown, background);
  const bool tiff = begins_with(bytes, 0, "II*") || begins_with(bytes, 0, "MM");
  fail(ErrorKind::kData, "{} is not a picture that sumi reads ({}{})", shown, picture_kinds(),
       tiff ? "; TIFF is not" : "");
}

}  // namespace sumi::image
