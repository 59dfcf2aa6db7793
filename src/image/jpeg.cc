#include "image/jpeg.h"

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <string_view>
#include <vector>

// After <cstdio>, which it needs and does not include:
#include <jerror.h>
#include <jpeglib.h>

#include "base/check.h"
#include "image/read.h"
#include "image/upright.h"

namespace sumi::image {
namespace {

// libjpeg reports errors by a call that must not return: it jumps back to the reader's setjmp.
struct Reader {
  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
  std::jmp_buf mark{};
  char message[JMSG_LENGTH_MAX] = "";
  std::span<const std::byte> bytes;  // of the file
  bool ended_early = false;          // the end mark is missing
  bool complete = false;             // but not of the picture

  // Whether the last warning is of something beside the pixels.
  bool is_harmless() {
    switch (errors.msg_code) {
      case JWRN_JPEG_EOF: return ended_early = true;  // what pixels it leaves out, another warning tells
      case JWRN_NOT_SEQUENTIAL:                       // odd scan parameters, without a meaning in a baseline file
      case JWRN_ADOBE_XFORM:
      case JWRN_JFIF_MAJOR: return true;
      case JWRN_EXTRANEOUS_DATA: {  // before a marker
        constexpr int kRestart = 0xD0, kEnd = 0xD9;
        const int marker = errors.msg_parm.i[1];
        if (marker == kEnd) return is_padding(static_cast<size_t>(std::max(errors.msg_parm.i[0], 0)));
        return marker < kRestart || marker > kRestart + 7;
      }
      default: return false;
    }
  }

  // Whether the `count` bytes before the end mark are one byte again and again: those of a broken scan differ.
  bool is_padding(size_t count) const {
    for (size_t at = bytes.size(); at-- > count + 1;) {
      if (std::to_integer<int>(bytes[at]) != 0xD9 || std::to_integer<int>(bytes[at - 1]) != 0xFF) continue;
      const auto begin = bytes.begin() + static_cast<ptrdiff_t>(at - 1 - count);
      return std::all_of(begin, begin + static_cast<ptrdiff_t>(count), [&](std::byte b) { return b == *begin; });
    }
    return false;
  }

  // Whether every coefficient came, to its last bit, where the end mark is missing. To be asked before the end of
  // decompression, which frees the record of it. Of baseline pictures only those of one scan are known to be whole
  // (a warning tells where its pixels end too early); the arithmetic decoder fills in zeros without a word.
  bool is_complete() {
    if (jpeg.arith_code) return false;
    if (jpeg.coef_bits == nullptr) return !jpeg_has_multiple_scans(&jpeg);
    for (int component = 0; component < jpeg.num_components; ++component) {
      for (int k = 0; k < DCTSIZE2; ++k) {
        if (jpeg.coef_bits[component][k] != 0) return false;
      }
    }
    return true;
  }

  Reader() {
    jpeg.err = jpeg_std_error(&errors);
    jpeg.client_data = this;
    errors.error_exit = [](j_common_ptr common) {
      auto* reader = static_cast<Reader*>(common->client_data);
      (*common->err->format_message)(common, reader->message);
      std::longjmp(reader->mark, 1);
    };
    // Most warnings mean pixels that are missing, which libjpeg fills with gray.
    errors.emit_message = [](j_common_ptr common, int level) {
      if (level < 0 && !static_cast<Reader*>(common->client_data)->is_harmless()) (*common->err->error_exit)(common);
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
  reader.bytes = bytes;
  if (setjmp(reader.mark) != 0) return false;
  jpeg_create_decompress(&reader.jpeg);
  jpeg_mem_src(&reader.jpeg, reinterpret_cast<const unsigned char*>(bytes.data()),
               static_cast<unsigned long>(bytes.size()));
  jpeg_save_markers(&reader.jpeg, JPEG_APP0 + 1, 0xFFFF);  // Exif
  jpeg_read_header(&reader.jpeg, TRUE);
  return true;
}

int orientation(const jpeg_decompress_struct& jpeg) {
  for (const jpeg_marker_struct* marker = jpeg.marker_list; marker != nullptr; marker = marker->next) {
    const std::span<const uint8_t> data(marker->data, marker->data_length);
    constexpr std::string_view kMark("Exif\0\0", 6);
    if (data.size() > kMark.size() && std::equal(kMark.begin(), kMark.end(), data.begin()))
      return exif_orientation(data);
  }
  return 1;
}

// Ink to light: Adobe's programs store how much light is left, others how much ink there is.
void from_cmyk(const uint8_t* cmyk, uint8_t* rgb, int64_t pixels, bool light) {
  for (int64_t i = 0; i < pixels; ++i) {
    const int key = light ? cmyk[4 * i + 3] : 255 - cmyk[4 * i + 3];
    for (int c = 0; c < 3; ++c) {
      const int colour = light ? cmyk[4 * i + c] : 255 - cmyk[4 * i + c];
      rgb[3 * i + c] = static_cast<uint8_t>((colour * key + 127) / 255);
    }
  }
}

// `ink`: a row of CMYK, or empty where the picture is RGB.
bool read_pixels(Reader& reader, Image& image, std::vector<uint8_t>& ink) {
  if (setjmp(reader.mark) != 0) return false;
  jpeg_decompress_struct& jpeg = reader.jpeg;
  jpeg.out_color_space = ink.empty() ? JCS_RGB : JCS_CMYK;
  jpeg_start_decompress(&jpeg);
  while (jpeg.output_scanline < jpeg.output_height) {
    uint8_t* to = image.row(static_cast<int64_t>(jpeg.output_scanline));
    JSAMPROW row = ink.empty() ? to : ink.data();
    jpeg_read_scanlines(&jpeg, &row, 1);
    if (!ink.empty()) from_cmyk(ink.data(), to, image.width, jpeg.saw_Adobe_marker != 0);
  }
  // The end of a picture of one scan is looked for in finishing it.
  reader.complete = reader.is_complete();
  jpeg_finish_decompress(&jpeg);
  return true;
}

}  // namespace

Image decode_jpeg(std::span<const std::byte> bytes, const std::string& name) {
  Reader reader;
  SUMI_CHECK(read_header(reader, bytes), "{} is a broken JPEG: {}", name, reader.message);
  const auto width = static_cast<int64_t>(reader.jpeg.image_width),
             height = static_cast<int64_t>(reader.jpeg.image_height);
  check_pixels(width, height, name);
  const int scans = count_scans(bytes);
  SUMI_CHECK(scans <= kMostScans,
             "{} is a JPEG of {} scans; those of more than {} are not read; save it again with fewer", name, scans,
             kMostScans);
  const int looked_at = orientation(reader.jpeg);  // its source does not outlive the pixels
  const bool cmyk = reader.jpeg.jpeg_color_space == JCS_CMYK || reader.jpeg.jpeg_color_space == JCS_YCCK;
  Image image(width, height);
  std::vector<uint8_t> ink(cmyk ? static_cast<size_t>(4 * width) : 0);
  SUMI_CHECK(read_pixels(reader, image, ink), "{} is a broken JPEG: {}", name, reader.message);
  SUMI_CHECK(!reader.ended_early || reader.complete, "{} is a broken JPEG: it is cut short", name);
  return turned_upright(image, looked_at);
}

}  // namespace sumi::image
