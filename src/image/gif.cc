#include "image/gif.h"

#include <gif_lib.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "base/check.h"
#include "image/read.h"

namespace sumi::image {
namespace {

struct Source {
  std::span<const std::byte> left;
};

int take(GifFileType* gif, GifByteType* to, int count) {
  auto* source = static_cast<Source*>(gif->UserData);
  const size_t taken = std::min(source->left.size(), static_cast<size_t>(std::max(count, 0)));
  std::memcpy(to, source->left.data(), taken);
  source->left = source->left.subspan(taken);
  return static_cast<int>(taken);
}

struct Close {
  void operator()(GifFileType* gif) const { DGifCloseFile(gif, nullptr); }
};

// Passes over the extension before a picture; the index of its see-through colour where it says one, else `known`.
int read_extension(GifFileType* gif, int known, bool& fine) {
  int kind = 0;
  GifByteType* block = nullptr;
  fine = DGifGetExtension(gif, &kind, &block) == GIF_OK;
  while (fine && block != nullptr) {
    GraphicsControlBlock control;
    if (kind == GRAPHICS_EXT_FUNC_CODE && DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK)
      known = control.TransparentColor;
    fine = DGifGetExtensionNext(gif, &block) == GIF_OK;
  }
  return known;
}

// The rows of an interlaced picture come in four passes.
std::vector<int> row_order(int height, bool interlaced) {
  std::vector<int> order;
  if (!interlaced) {
    for (int y = 0; y < height; ++y) order.push_back(y);
    return order;
  }
  for (const auto& [begin, step] : {std::pair(0, 8), std::pair(4, 8), std::pair(2, 4), std::pair(1, 2)})
    for (int y = begin; y < height; y += step) order.push_back(y);
  return order;
}

// The picture that the file stands at, into `canvas` [RGBA]; false where it is broken.
bool read_frame(GifFileType* gif, int see_through, Image& canvas) {
  if (DGifGetImageDesc(gif) != GIF_OK) return false;
  const GifImageDesc& frame = gif->Image;
  const ColorMapObject* colours = frame.ColorMap != nullptr ? frame.ColorMap : gif->SColorMap;
  const bool inside = frame.Left >= 0 && frame.Top >= 0 && frame.Width > 0 && frame.Height > 0 &&
                      frame.Left + frame.Width <= canvas.width && frame.Top + frame.Height <= canvas.height;
  if (colours == nullptr || !inside) return false;
  std::vector<GifPixelType> row(static_cast<size_t>(frame.Width));
  for (const int y : row_order(frame.Height, frame.Interlace)) {
    if (DGifGetLine(gif, row.data(), frame.Width) != GIF_OK) return false;
    uint8_t* to = canvas.row(frame.Top + y) + 4 * frame.Left;
    for (const GifPixelType index : row) {
      if (index >= colours->ColorCount && index != see_through) return false;
      if (index != see_through) {
        const GifColorType& colour = colours->Colors[index];
        to[0] = colour.Red, to[1] = colour.Green, to[2] = colour.Blue, to[3] = 255;
      }
      to += 4;
    }
  }
  return true;
}

}  // namespace

Image decode_gif(std::span<const std::byte> bytes, const std::string& name, const Background& background) {
  Source source{bytes};
  int error = 0;
  const std::unique_ptr<GifFileType, Close> gif(DGifOpen(&source, take, &error));
  SUMI_CHECK(gif != nullptr, "{} is a broken GIF", name);
  check_pixels(gif->SWidth, gif->SHeight, name);
  SUMI_CHECK(gif->SWidth > 0 && gif->SHeight > 0, "{} is a broken GIF: {}x{}", name, gif->SWidth, gif->SHeight);
  int see_through = NO_TRANSPARENT_COLOR;
  for (bool fine = true; fine;) {
    GifRecordType kind = UNDEFINED_RECORD_TYPE;
    if (DGifGetRecordType(gif.get(), &kind) != GIF_OK || kind == TERMINATE_RECORD_TYPE) break;
    if (kind == EXTENSION_RECORD_TYPE) {
      see_through = read_extension(gif.get(), see_through, fine);
    } else if (kind == IMAGE_DESC_RECORD_TYPE) {
      Image canvas(gif->SWidth, gif->SHeight, 4);
      SUMI_CHECK(read_frame(gif.get(), see_through, canvas), "{} is a broken GIF", name);
      return over(canvas, background);
    }
  }
  fail(ErrorKind::kData, "{} is a broken GIF: it holds no picture", name);
}

}  // namespace sumi::image
