// 3x3 convolution to a few channels. A product with so few columns would leave most of the register tile empty, so the
// taps become columns beside the outputs, every pixel is multiplied once with all of them, and each output pixel
// gathers its nine parts from its neighbours: one pass over the input instead of nine, 27 of 32 columns used for a
// picture's three. Measured against the direct product (share of the peak): see docs/performance.md.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backend/cpu/conv_few.cc"
#include "hwy/foreach_target.h"
// After foreach_target:
#include <algorithm>
#include <cstring>

#include "backend/cpu/conv_few.h"
#include "backend/cpu/scratch.h"
#include "backend/cpu/weights-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {

constexpr int64_t kFewTaps = 9;
constexpr int64_t kGather = 4;     // outputs gathered at once
constexpr int64_t kBandRows = 16;  // rows of a task, at least: two more are multiplied for the neighbours

class FewOutputs {
 public:
  explicit FewOutputs(const ConvArgs& a)
      : a_(a),
        x_(a.x.f32()),
        bias_(a.bias.f32()),
        residual_(a.residual.f32()),
        out_(a.out.f32()),
        columns_(round_up(kFewTaps * a.out_c, kCols)),
        row_floats_((a.in_w + 2 + kRows) * columns_ + kGather) {}

  void run(const Context& context) const {
    const int64_t rows = std::max(kBandRows, ceil_div(a_.out_h, 16)), bands = ceil_div(a_.out_h, rows);
    context.parallel_for(a_.batch * bands, [&](int64_t task) {
      const int64_t begin = task % bands * rows;
      band(task / bands, begin, std::min(a_.out_h, begin + rows));
    });
  }

 private:
  // Where a task keeps its blocks.
  struct Blocks {
    float *panels, *strip, *parts, *line, *staging;
  };

  Blocks blocks() const {
    const int64_t panels = columns_ * a_.in_c, strip = kRows * a_.in_c + kPackSpill, parts = 3 * row_floats_,
                  line = round_up(a_.out_w * a_.out_c + kGather, 16), staging = 2 * kCols * kFewTaps * a_.in_c;
    Blocks b{};
    b.panels = thread_scratch(static_cast<size_t>(panels + strip + parts + line + staging + 64));
    b.strip = b.panels + panels;
    b.parts = b.strip + strip;
    b.line = b.parts + parts;
    b.staging = b.line + line;
    return b;
  }

  // panels[panel][channel][kCols]: column tap·out_c + output.
  void pack_panels(const Blocks& b) const {
    const WeightRows weights{a_.weight, a_.out_c, a_.in_c * kFewTaps};
    weights.pack(0, 0, weights.length, b.staging, b.staging + kCols * weights.length);
    std::fill_n(b.panels, columns_ * a_.in_c, 0.0f);
    for (int64_t column = 0; column < kFewTaps * a_.out_c; ++column) {
      const int64_t tap = column / a_.out_c, output = column % a_.out_c;
      float* panel = b.panels + column / kCols * kCols * a_.in_c + column % kCols;
      for (int64_t c = 0; c < a_.in_c; ++c) panel[c * kCols] = b.staging[(c * kFewTaps + tap) * kCols + output];
    }
  }

  // parts[1 + x][column] of one input row; a pixel of zeros on either side, and nothing but zeros outside the picture.
  void multiply_row(int64_t n, int64_t y, const Blocks& b, float* parts) const {
    if (y < 0 || y >= a_.in_h) return void(std::fill_n(parts, row_floats_, 0.0f));
    const float* row = x_ + (n * a_.in_h + y) * a_.in_w * a_.in_c;
    for (int64_t x0 = 0; x0 < a_.in_w; x0 += kRows) {
      const float* pixels[kRows];
      for (int r = 0; r < kRows; ++r) pixels[r] = row + std::min(x0 + r, a_.in_w - 1) * a_.in_c;
      pack_rows<kRows>(pixels, a_.in_c, b.strip);
      for (int64_t column = 0; column < columns_; column += kCols) {
        tile<kRows>(b.strip, b.panels + column * a_.in_c, a_.in_c, parts + (1 + x0) * columns_ + column, columns_,
                    false);
      }
    }
    std::fill_n(parts, columns_, 0.0f);
    std::fill_n(parts + (1 + a_.in_w) * columns_, columns_, 0.0f);
  }

  // Output row y from the parts of the rows above, at and below it.
  void gather_row(int64_t n, int64_t y, const float* const* rows, const Blocks& b) const {
    const hn::FixedTag<float, kGather> d;
    const int64_t out_c = a_.out_c;
    for (int64_t x = 0; x < a_.out_w; ++x) {
      for (int64_t o = 0; o < out_c; o += kGather) {
        auto sum = hn::Zero(d);
        for (int64_t tap = 0; tap < kFewTaps; ++tap)
          sum = hn::Add(sum, hn::LoadU(d, rows[tap / 3] + (x + tap % 3) * columns_ + tap * out_c + o));
        hn::StoreU(sum, d, b.line + x * out_c + o);  // what spills over is written again by the next pixel
      }
    }
    const int64_t at = (n * a_.out_h + y) * a_.out_w * out_c;
    for (int64_t i = 0; i < a_.out_w * out_c; ++i) {
      out_[at + i] = b.line[i] + (bias_ ? bias_[i % out_c] : 0.0f) + (residual_ ? residual_[at + i] : 0.0f);
    }
  }

  void band(int64_t n, int64_t begin, int64_t end) const {
    const Blocks b = blocks();
    pack_panels(b);
    const auto parts_of = [&](int64_t y) { return b.parts + (y + 3) % 3 * row_floats_; };
    multiply_row(n, begin - 1, b, parts_of(begin - 1));
    multiply_row(n, begin, b, parts_of(begin));
    for (int64_t y = begin; y < end; ++y) {
      multiply_row(n, y + 1, b, parts_of(y + 1));
      const float* rows[3] = {parts_of(y - 1), parts_of(y), parts_of(y + 1)};
      gather_row(n, y, rows, b);
    }
  }

  const ConvArgs& a_;
  const float *x_, *bias_, *residual_;
  float* out_;
  int64_t columns_, row_floats_;
};

void run_few_outputs(const Context& context, const ConvArgs& a) { FewOutputs(a).run(context); }

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sumi::backend::cpu {

HWY_EXPORT(run_few_outputs);

bool few_outputs_apply(const ConvArgs& a) {
  return a.kernel_h == 3 && a.kernel_w == 3 && a.stride == 1 && a.pad == 1 && a.out_h == a.in_h && a.out_w == a.in_w &&
         a.out_c <= 8 && a.in_c >= 32;
}

void few_outputs_conv(const Context& context, const ConvArgs& args) {
  HWY_DYNAMIC_DISPATCH(run_few_outputs)(context, args);
}

}  // namespace sumi::backend::cpu
#endif
