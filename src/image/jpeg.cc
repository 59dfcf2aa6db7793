#include "image/jpeg.h"

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <optional>

// After <cstdio>, which it needs and does not include:
#include <jpeglib.h>

#include "base/check.h"
#include "image/read.h"

namespace sumi::image {
namespace {

// libjpeg reports errors by a call that must not return: it jumps back to the reader's setjmp.
struct Reader {
  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
  std::jmp_buf mark{};
  char message[JMSG_LENGTH_MAX] = "";

  Reader() {
    jpeg.err = jpeg_std_error(&errors);
    jpeg.client_data = this;
    errors.error_exit = [](j_common_ptr common) {
      auto* reader = static_cast<Reader*>(common->client_data);
      (*common->err->format_message)(common, reader->message);
      std::longjmp(reader->mark, 1);
    };
    // A warning means a broken file: libjpeg fills the gap with gray.
    errors.emit_message = [](j_common_ptr common, int level) {
      if (level < 0) (*common->err->error_exit)(common);
    };
  }
  ~Reader() { jpeg_destroy_decompress(&jpeg); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
};

// Most scans of a picture; real files have about ten.
constexpr int kMostScans = 100;

// Counts the file's scans by its markers, as libjpeg reads them (where it would have to guess, it warns, which ends the
// reading). Done before decoding: each scan passes over the whole picture of up to 64 megapixels, and takes only a few
// bytes of the file.
int count_scans(std::span<const std::byte> bytes) {
  const auto at = [&](size_t i) { return std::to_integer<unsigned>(bytes[i]); };
  int scans = 0;
  for (size_t i = 2; i + 3 < bytes.size();) {
    const unsigned marker = at(i + 1);
    if (at(i) != 0xFF || marker == 0xFF) {
      ++i;
    } else if (marker == 0xD9) {  // the end
      break;
    } else if (marker <= 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {  // without a segment: 0xFF itself, restarts
      i += 2;
    } else {
      scans += marker == 0xDA ? 1 : 0;
      i += 2 + std::max(2U, at(i + 2) << 8 | at(i + 3));
    }
  }
  return scans;
}

bool read_header(Reader& reader, std::span<const std::byte> bytes) {
  if (setjmp(reader.mark) != 0) return false;
  jpeg_create_decompress(&reader.jpeg);
  jpeg_mem_src(&reader.jpeg, reinterpret_cast<const unsigned char*>(bytes.data()),
               static_cast<unsigned long>(bytes.size()));
  jpeg_save_markers(&reader.jpeg, JPEG_APP0 + 1, 0xFFFF);  // Exif
  jpeg_read_header(&reader.jpeg, TRUE);
  return true;
}

bool read_pixels(Reader& reader, Image& image) {
  if (setjmp(reader.mark) != 0) return false;
  jpeg_decompress_struct& jpeg = reader.jpeg;
  jpeg.out_color_space = JCS_RGB;
  jpeg_start_decompress(&jpeg);
  while (jpeg.output_scanline < jpeg.output_height) {
    JSAMPROW row = image.row(static_cast<int64_t>(jpeg.output_scanline));
    jpeg_read_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_decompress(&jpeg);
  return true;
}

// Value of the orientation tag (0x0112) of the first directory of an Exif block, 1 to 8; 1 where there is none.
int orientation(const jpeg_decompress_struct& jpeg) {
  for (const jpeg_marker_struct* marker = jpeg.marker_list; marker != nullptr; marker = marker->next) {
    const std::span<const uint8_t> data(marker->data, marker->data_length);
    if (data.size() < 14 || !std::equal(data.begin(), data.begin() + 6, "Exif\0\0")) continue;
    const std::span<const uint8_t> tiff = data.subspan(6);
    const bool little = tiff[0] == 'I';
    const auto number = [&](size_t at, size_t count) -> std::optional<uint32_t> {
      if (at + count > tiff.size()) return std::nullopt;
      uint32_t value = 0;
      for (size_t i = 0; i < count; ++i) value = value << 8 | tiff[at + (little ? count - 1 - i : i)];
      return value;
    };
    const auto directory = number(4, 4);
    const auto entries = directory ? number(*directory, 2) : std::nullopt;
    for (uint32_t i = 0; entries && i < *entries; ++i) {
      const size_t entry = size_t{*directory} + 2 + 12 * size_t{i};
      if (number(entry, 2) != 0x0112u) continue;
      const uint32_t value = number(entry + 8, 2).value_or(1);
      return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
  }
  return 1;
}

// Orientations 2 to 8: bit 2 of (orientation - 1) exchanges rows and columns, the others mirror.
Image turned(const Image& image, int orientation) {
  if (orientation == 1) return image;
  const bool swaps = orientation >= 5;
  Image out(swaps ? image.height : image.width, swaps ? image.width : image.height);
  const bool mirror_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool mirror_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  for (int64_t y = 0; y < out.height; ++y) {
    for (int64_t x = 0; x < out.width; ++x) {
      int64_t from_x = swaps ? y : x, from_y = swaps ? x : y;
      if (mirror_x) from_x = image.width - 1 - from_x;
      if (mirror_y) from_y = image.height - 1 - from_y;
      std::copy_n(image.row(from_y) + 3 * from_x, 3, out.row(y) + 3 * x);
    }
  }
  return out;
}

}  // namespace

Image decode_jpeg(std::span<const std::byte> bytes, const std::string& name) {
  Reader reader;
  SUMI_CHECK(read_header(reader, bytes), "{} is a broken JPEG: {}", name, reader.message);
  const auto width = static_cast<int64_t>(reader.jpeg.image_width),
             height = static_cast<int64_t>(reader.jpeg.image_height);
  check_pixels(width, height, name);
  SUMI_CHECK(reader.jpeg.jpeg_color_space != JCS_CMYK && reader.jpeg.jpeg_color_space != JCS_YCCK,
             "{} is a CMYK JPEG; save it as RGB", name);
  const int scans = count_scans(bytes);
  SUMI_CHECK(scans <= kMostScans,
             "{} is a JPEG of {} scans; those of more than {} are not read; save it again with fewer", name, scans,
             kMostScans);
  const int looked_at = orientation(reader.jpeg);  // its source does not outlive the pixels
  Image image(width, height);
  SUMI_CHECK(read_pixels(reader, image), "{} is a broken JPEG: {}", name, reader.message);
  return turned(image, looked_at);
}

}  // namespace sumi::image
