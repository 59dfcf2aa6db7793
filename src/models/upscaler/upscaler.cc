#include "models/upscaler/upscaler.h"

#include <algorithm>
#include <cmath>
#include <variant>

#include "base/check.h"
#include "models/loading/bind.h"
#include "models/tile_sides.h"
#include "models/upscaler/names.h"
#include "ops/layout.h"

namespace sumi::models {
namespace {

constexpr int64_t kSmallestTile = 16;

int64_t rounded_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// Row or column `i`, which may lie outside of [0, size): mirrored at the last one, or from the other side.
int64_t source_of(int64_t i, int64_t size, bool wraps) {
  if (wraps) return (i % size + size) % size;
  return i < size ? i : std::max<int64_t>(0, 2 * (size - 1) - i);
}

// x continued below and on the right by its mirror image, to sides that are multiples of `multiple`.
Tensor mirrored_to_multiple(const Tensor& x, int64_t multiple) {
  const int64_t height = x.dim(1), width = x.dim(2), out_height = rounded_up(height, multiple),
                out_width = rounded_up(width, multiple);
  if (out_height == height && out_width == width) return x;
  Tensor out = Tensor::empty({x.dim(0), out_height, out_width, x.dim(3)}, x.dtype(), x.device());
  paste(x, out, 0, 0);
  for (int64_t row = height; row < out_height; ++row) {
    const int64_t from = source_of(row, height, false);
    paste(crop(x, from, from + 1, 0, width), out, row, 0);
  }
  for (int64_t column = width; column < out_width; ++column) {
    const int64_t from = source_of(column, width, false);
    paste(crop(out, 0, out_height, from, from + 1), out, 0, column);
  }
  return out;
}

// Rows and columns of a picture as a tensor [1,rows,columns,3] in [0, 1].
Tensor part_of(const Image& picture, const TileSide& rows, const TileSide& columns, const Context& context) {
  Tensor out = Tensor::empty({1, rows.to - rows.from, columns.to - columns.from, 3});
  const HostEdit<float> values(out);
  float* to = values.data();
  for (int64_t y = rows.from; y < rows.to; ++y) {
    const uint8_t* row = picture.row(source_of(y, picture.height, context.wrap_y));
    for (int64_t x = columns.from; x < columns.to; ++x) {
      const uint8_t* pixel = row + 3 * source_of(x, picture.width, context.wrap_x);
      for (int c = 0; c < 3; ++c) *to++ = static_cast<float>(pixel[c]) / 255.0f;
    }
  }
  return out;
}

uint8_t to_byte(float value) { return static_cast<uint8_t>(std::lround(std::clamp(value, 0.0f, 1.0f) * 255.0f)); }

// Writes a tile's own part of the result, as far as the picture goes. Returns false where a value is not a number.
[[nodiscard]] bool put(const Tensor& tile, const TileSide& rows, const TileSide& columns, int64_t scale, Image& out) {
  const HostView<float> values(tile);
  const int64_t bottom = std::min(rows.end * scale, out.height), right = std::min(columns.end * scale, out.width);
  for (int64_t y = rows.begin * scale; y < bottom; ++y) {
    const float* from =
        values.data() + ((y - rows.from * scale) * tile.dim(2) + (columns.begin - columns.from) * scale) * 3;
    uint8_t* to = out.row(y) + columns.begin * scale * 3;
    for (int64_t i = 0; i < (right - columns.begin * scale) * 3; ++i) {
      if (std::isnan(from[i])) return false;
      to[i] = to_byte(from[i]);
    }
  }
  return true;
}

// Tiles begin at multiples of what the network takes: cut in these units.
std::vector<TileSide> cut_in_units(int64_t size, int64_t own, int64_t border, int64_t unit, bool wraps) {
  std::vector<TileSide> sides =
      cut((size + unit - 1) / unit, std::max<int64_t>(1, own / unit), (border + unit - 1) / unit, wraps);
  for (TileSide& side : sides) side = {side.begin * unit, side.end * unit, side.from * unit, side.to * unit};
  return sides;
}

std::unique_ptr<UpscalerNetwork> network_of(const RrdbConfig& config) { return std::make_unique<RrdbNet>(config); }
std::unique_ptr<UpscalerNetwork> network_of(const CompactConfig& config) {
  return std::make_unique<CompactNet>(config);
}

}  // namespace

Upscaler Upscaler::open(const std::filesystem::path& path, const UpscalerOptions& options) {
  UpscalerFile found = recognise_upscaler(io::open_checkpoint(path));
  std::unique_ptr<UpscalerNetwork> network =
      std::visit([](const auto& config) { return network_of(config); }, found.config);
  BindReport report;
  bind_module(*network, *found.file, "", report, {.device = options.device});
  report.check();
  found.file->check_intact();
  return {std::move(found.file), std::move(network), options.device};
}

int64_t Upscaler::weight_bytes() const {
  int64_t bytes = 0;
  for (const io::TensorInfo& info : file_->tensors()) bytes += bytes_of(info.dtype, info.shape.numel());
  return bytes;
}

int64_t Upscaler::default_border() const { return std::min(full_border(), rounded_up(kBorder, network_->multiple())); }

Tensor Upscaler::operator()(const Tensor& x) const {
  SUMI_CHECK_KIND(kUsage, x.rank() == 4 && x.dim(3) == 3 && x.numel() > 0 && x.dtype() == DType::kF32,
                  "pictures to upscale must be [N,H,W,3] in f32, not {}", x.shape().str());
  const Tensor y = (*network_)(mirrored_to_multiple(x, network_->multiple()));
  const int64_t height = x.dim(1) * scale(), width = x.dim(2) * scale();
  return y.dim(1) == height && y.dim(2) == width ? y : crop(y, 0, height, 0, width);
}

// The side of a tile's own part.
int64_t Upscaler::tile_side(const UpscaleOptions& options, int64_t border) const {
  if (options.tile > 0) return options.tile;
  constexpr int64_t kProbe = 64;
  const int64_t side = kProbe * network_->multiple();
  const double bytes_a_pixel = static_cast<double>(peak_bytes(side, side)) / static_cast<double>(side * side);
  const double with_border = std::sqrt(static_cast<double>(options.memory) / bytes_a_pixel);
  return std::max(kSmallestTile, static_cast<int64_t>(with_border) - 2 * border);
}

Image Upscaler::upscale(const Image& picture, const UpscaleOptions& options) const {
  SUMI_CHECK_KIND(kUsage,
                  picture.channels == 3 && picture.width > 0 && picture.height > 0 &&
                      picture.pixels.size() == static_cast<size_t>(picture.width * picture.height * 3),
                  "a picture of {}x{} pixels with {} channels cannot be upscaled", picture.width, picture.height,
                  picture.channels);
  const Context around = Context::current();
  const int64_t unit = network_->multiple();
  SUMI_CHECK_KIND(kUsage,
                  (!around.wrap_y || picture.height % unit == 0) && (!around.wrap_x || picture.width % unit == 0),
                  "a picture of {}x{} cannot be upscaled without seams: this network takes multiples of {}",
                  picture.width, picture.height, unit);
  const int64_t border = options.border < 0 ? default_border() : options.border, own = tile_side(options, border);
  const std::vector<TileSide> rows = cut_in_units(picture.height, own, border, unit, around.wrap_y),
                              columns = cut_in_units(picture.width, own, border, unit, around.wrap_x);
  // A tile's own edges are no edges of the picture.
  const ContextScope in_tiles([&](Context& context) {
    context.wrap_y = around.wrap_y && rows.size() == 1;
    context.wrap_x = around.wrap_x && columns.size() == 1;
  });
  const int64_t total = static_cast<int64_t>(rows.size() * columns.size()) * network_->steps();
  int64_t done = 0;
  const auto check_cancel = [&] {
    SUMI_CHECK_KIND(kCancelled, options.cancel == nullptr || !options.cancel->load(), "stopped");
  };
  const auto step = [&] {
    check_cancel();
    if (options.progress) options.progress(++done, total);
  };
  Image out(picture.width * scale(), picture.height * scale());
  for (const TileSide& r : rows) {
    for (const TileSide& c : columns) {
      check_cancel();
      SUMI_CHECK(put((*network_)(part_of(picture, r, c, around).to(device_), step), r, c, scale(), out),
                 "{}: what it makes of a picture is not a number; the file is broken", file_->path().string());
    }
  }
  file_->check_intact();
  return out;
}

}  // namespace sumi::models
