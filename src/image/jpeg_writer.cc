#include "image/jpeg_writer.h"

#include <csetjmp>
#include <cstdio>
#include <new>
#include <utility>

// After <cstdio>, which it needs and does not include:
#include <jerror.h>
#include <jpeglib.h>

#include "base/check.h"
#include "image/check_written.h"
#include "image/exif_comment.h"

namespace sumi::image {
namespace {

constexpr size_t kMostSegment = 65533;  // bytes of a marker's data
constexpr size_t kFirstBytes = 16 << 10;

// libjpeg reports errors by a call that must not return: it jumps back to the writer's setjmp. The file grows here, so
// that it has one owner whatever happens.
struct Writer {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  std::jmp_buf mark{};
  char message[JMSG_LENGTH_MAX] = "";
  jpeg_destination_mgr destination{};
  std::string bytes;

  Writer() {
    jpeg.err = jpeg_std_error(&errors);
    jpeg.client_data = this;
    destination.init_destination = [](j_compress_ptr common) { of(common).grow(kFirstBytes); };
    destination.empty_output_buffer = [](j_compress_ptr common) {  // it is full, whatever free_in_buffer says
      of(common).grow(2 * of(common).bytes.size());
      return static_cast<boolean>(TRUE);
    };
    destination.term_destination = [](j_compress_ptr common) {
      of(common).bytes.resize(of(common).bytes.size() - of(common).destination.free_in_buffer);
    };
    errors.error_exit = [](j_common_ptr common) {
      auto* writer = static_cast<Writer*>(common->client_data);
      (*common->err->format_message)(common, writer->message);
      std::longjmp(writer->mark, 1);
    };
    errors.output_message = [](j_common_ptr) {};
  }
  ~Writer() { jpeg_destroy_compress(&jpeg); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  static Writer& of(j_compress_ptr common) { return *static_cast<Writer*>(common->client_data); }

  // No exception passes through libjpeg.
  void grow(size_t size) {
    const size_t used = bytes.size();
    bool grown = true;
    try {
      bytes.resize(size);
    } catch (const std::bad_alloc&) {
      grown = false;
    }
    if (!grown) ERREXIT1(&jpeg, JERR_OUT_OF_MEMORY, 0);
    destination.next_output_byte = reinterpret_cast<JOCTET*>(bytes.data()) + used;
    destination.free_in_buffer = size - used;
  }
};

// `exif`: the data of its segment; empty: none.
bool write(Writer& writer, const Image& image, int quality, const std::string& exif) {
  if (setjmp(writer.mark) != 0) return false;
  jpeg_compress_struct& jpeg = writer.jpeg;
  jpeg_create_compress(&jpeg);
  jpeg.dest = &writer.destination;
  jpeg.image_width = static_cast<JDIMENSION>(image.width);
  jpeg.image_height = static_cast<JDIMENSION>(image.height);
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, quality, TRUE);
  jpeg.optimize_coding = TRUE;
  jpeg_start_compress(&jpeg, TRUE);
  if (!exif.empty())
    jpeg_write_marker(&jpeg, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(exif.data()),
                      static_cast<unsigned>(exif.size()));
  while (jpeg.next_scanline < jpeg.image_height) {
    JSAMPROW row = const_cast<uint8_t*>(image.row(static_cast<int64_t>(jpeg.next_scanline)));
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  return true;
}

}  // namespace

std::string encode_jpeg(const Image& image, int quality, std::string_view parameters) {
  check_written(image, quality, {.name = "JPEG", .most_side = kMostJpegSide, .instead = "PNG"});
  std::string exif;
  if (!parameters.empty()) exif = std::string("Exif\0\0", 6) + exif_comment(parameters);
  if (exif.size() > kMostSegment) exif.clear();
  Writer writer;
  SUMI_CHECK_KIND(kInternal, write(writer, image, quality, exif), "the JPEG could not be made: {}", writer.message);
  return std::move(writer.bytes);
}

}  // namespace sumi::image
