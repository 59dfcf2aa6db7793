// Two-dimensional convolution.
#pragma once

#include <string>

#include "ops/matmul.h"

namespace sumi {

struct Conv2dOptions {
  int64_t stride = 1;
  int64_t pad_begin = 0;  // rows above and columns left, zeros
  int64_t pad_end = -1;   // rows below and columns right; -1: as pad_begin
  Tensor residual = {};   // added last; the shape of the result
};

// x [N,H,W,I], weight [O,I,kh,kw], bias [O] or undefined → [N,H',W',O] with
// H' = (H + pad_begin + pad_end - kh) / stride + 1. Computed in float32.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options = {});

// How profiles name a convolution, or a gradient of one, that turns pictures `x` into `outs` channels.
std::string conv_text(const Shape& x, int64_t outs, const Shape& weight, const Conv2dOptions& options);

// How a convolution is computed. Winograd's algorithm spends fewer multiplications and rounds a little more (see
// docs/numerics.md).
enum class ConvAlgorithm : unsigned char {
  kAuto,     // whatever is quickest for the shape
  kDirect,   // products and sums alone
  kWinograd  // where it applies (3x3, stride 1), else direct
};

// While one lives, its thread's convolutions use this algorithm. Scopes nest.
class ConvAlgorithmScope {
 public:
  explicit ConvAlgorithmScope(ConvAlgorithm algorithm) : outer_(t_current) { t_current = algorithm; }
  ~ConvAlgorithmScope() { t_current = outer_; }
  ConvAlgorithmScope(const ConvAlgorithmScope&) = delete;
  ConvAlgorithmScope& operator=(const ConvAlgorithmScope&) = delete;
  static ConvAlgorithm current() { return t_current; }

 private:
  static inline thread_local ConvAlgorithm t_current = ConvAlgorithm::kAuto;
  ConvAlgorithm outer_;
};

struct ConvArgs {
  const float* x;         // [batch, in_h, in_w, in_c]
  WeightView weight;      // [out_c, in_c, kernel_h, kernel_w]
  const float* bias;      // [out_c] or null
  const float* residual;  // [batch, out_h, out_w, out_c] or null
  float* out;             // [batch, out_h, out_w, out_c]
  int64_t batch, in_h, in_w, in_c, out_h, out_w, out_c, kernel_h, kernel_w, stride, pad;
  ConvAlgorithm algorithm = ConvAlgorithm::kAuto;
};
using ConvKernel = void(const ConvArgs& args);
extern KernelSlot<ConvKernel> conv2d_slot;

}  // namespace sumi
