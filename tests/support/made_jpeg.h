// JPEG files as libjpeg writes them, for tests of the reader.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include <jpeglib.h>

namespace sumi::test {

struct MadeJpeg {
  int64_t width, height;
  J_COLOR_SPACE space = JCS_RGB;
  int channels = 3;
  std::function<const uint8_t*(int64_t y)> row;
  std::function<void(jpeg_compress_struct&)> choose = {};  // sets further options of libjpeg
  std::function<void(jpeg_compress_struct&)> begun = {};   // writes markers before the pixels
};

inline std::string made_jpeg(const MadeJpeg& made) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &buffer, &size);
  jpeg.image_width = static_cast<JDIMENSION>(made.width);
  jpeg.image_height = static_cast<JDIMENSION>(made.height);
  jpeg.input_components = made.channels;
  jpeg.in_color_space = made.space;
  jpeg_set_defaults(&jpeg);
  if (made.choose) made.choose(jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  if (made.begun) made.begun(jpeg);
  while (jpeg.next_scanline < jpeg.image_height) {
    JSAMPROW row = const_cast<uint8_t*>(made.row(static_cast<int64_t>(jpeg.next_scanline)));
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  std::string bytes(reinterpret_cast<char*>(buffer), size);
  std::free(buffer);
  jpeg_destroy_compress(&jpeg);
  return bytes;
}

}  // namespace sumi::test
