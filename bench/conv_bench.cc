// Convolutions of the UNet and the autoencoder at 512x512: both of our algorithms on every shape (where Winograd's does
// not apply both are direct), so that the choice between them can be checked, beside oneDNN where it is installed.
// `conv_bench "→ 3,"` measures only the shapes whose line holds that text.
#ifdef SUMI_HAVE_DNNL
#include <dnnl.hpp>
#endif

#include <fmt/format.h>

#include <span>
#include <string_view>

#include "base/parallel.h"
#include "bench/in_turns.h"
#include "ops/conv.h"
#include "ops/layout.h"
#include "ops/machine_peak.h"
#include "tests/support/relative_l2.h"

namespace sumi::bench {
namespace {

struct ConvShape {
  int64_t batch, side, in, out, kernel, stride;
};

// As `sumi bench --profile` lists them for Stable Diffusion 1.x: the UNet with guidance, then the decoder.
constexpr ConvShape kShapes[] = {
    {2, 64, 4, 320, 3, 1},     {2, 64, 320, 320, 3, 1},   {2, 64, 640, 320, 3, 1},   {2, 64, 960, 320, 3, 1},
    {2, 64, 320, 320, 3, 2},   {2, 64, 640, 640, 3, 1},   {2, 32, 320, 640, 3, 1},   {2, 32, 640, 640, 3, 1},
    {2, 32, 1280, 640, 3, 1},  {2, 32, 1920, 640, 3, 1},  {2, 32, 1280, 1280, 3, 1}, {2, 16, 640, 1280, 3, 1},
    {2, 16, 1280, 1280, 3, 1}, {2, 16, 2560, 1280, 3, 1}, {2, 8, 1280, 1280, 3, 1},  {2, 8, 2560, 1280, 3, 1},
    {2, 64, 320, 4, 3, 1},     {2, 64, 640, 320, 1, 1},   {2, 8, 2560, 1280, 1, 1},  {1, 64, 4, 512, 3, 1},
    {1, 64, 512, 512, 3, 1},   {1, 128, 512, 512, 3, 1},  {1, 256, 512, 512, 3, 1},  {1, 256, 512, 256, 3, 1},
    {1, 256, 256, 256, 3, 1},  {1, 512, 256, 256, 3, 1},  {1, 512, 256, 128, 3, 1},  {1, 512, 128, 128, 3, 1},
    {1, 512, 256, 128, 1, 1},  {1, 512, 128, 3, 3, 1}};

#ifdef SUMI_HAVE_DNNL
// oneDNN at its best: the layouts are its own choice, and putting pictures and weights into them is not counted.
class OneDnn {
 public:
  OneDnn(const ConvShape& s, dnnl::algorithm algorithm) : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using dnnl::memory;
    const int64_t pad = s.kernel / 2, side = (s.side + 2 * pad - s.kernel) / s.stride + 1;
    const auto any = [](const memory::dims& dims) {
      return memory::desc(dims, memory::data_type::f32, memory::format_tag::any);
    };
    const dnnl::convolution_forward::desc desc(
        dnnl::prop_kind::forward_inference, algorithm, any({s.batch, s.in, s.side, s.side}),
        any({s.out, s.in, s.kernel, s.kernel}), any({s.batch, s.out, side, side}), {s.stride, s.stride}, {pad, pad},
        {pad, pad});
    const dnnl::convolution_forward::primitive_desc primitive(desc, engine_);
    source_ = memory(primitive.src_desc(), engine_);
    weights_ = memory(primitive.weights_desc(), engine_);
    result_ = memory(primitive.dst_desc(), engine_);
    plain_result_ = memory({{s.batch, s.out, side, side}, memory::data_type::f32, memory::format_tag::nhwc}, engine_);
    conv_ = dnnl::convolution_forward(primitive);
    shape_ = s;
  }

  void set(const Tensor& x, const Tensor& weight) {
    using dnnl::memory;
    const auto put = [&](const Tensor& from, const memory::dims& dims, memory::format_tag tag, memory& to) {
      const HostView<float> values(from);
      memory plain({dims, memory::data_type::f32, tag}, engine_, const_cast<float*>(values.data()));
      dnnl::reorder(plain, to).execute(stream_, plain, to);
      stream_.wait();
    };
    const ConvShape& s = shape_;
    put(x, {s.batch, s.in, s.side, s.side}, memory::format_tag::nhwc, source_);
    put(weight, {s.out, s.in, s.kernel, s.kernel}, memory::format_tag::oihw, weights_);
  }

  void run() {
    conv_.execute(stream_, {{DNNL_ARG_SRC, source_}, {DNNL_ARG_WEIGHTS, weights_}, {DNNL_ARG_DST, result_}});
    stream_.wait();
  }

  Tensor result(const Shape& shape) {
    dnnl::reorder(result_, plain_result_).execute(stream_, result_, plain_result_);
    stream_.wait();
    const auto* values = static_cast<const float*>(plain_result_.get_data_handle());
    return Tensor::from(std::span<const float>(values, static_cast<size_t>(shape.numel())), shape);
  }

 private:
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::memory source_, weights_, result_, plain_result_;
  dnnl::convolution_forward conv_;
  ConvShape shape_{};
};
#endif

std::string label(const ConvShape& s) {
  return fmt::format("{}x{}²x{} → {}, {}x{}{}", s.batch, s.side, s.in, s.out, s.kernel, s.kernel,
                     s.stride > 1 ? " /2" : "");
}

void run(std::string_view only) {
  fmt::print(
      "{} threads; GFLOP/s counted for direct convolution and ratio to the multiply-add peak, measured after "
      "each shape; what sumi chooses is marked\n",
      num_threads());
  fmt::print("{:<28} {:>15} {:>15} {:>14} {:>14} {:>9} {:>7}\n", "batch x side x in → out", "direct", "winograd",
             "oneDNN direct", "oneDNN auto", "distance", "peak");
  for (const ConvShape& s : kShapes) {
    if (label(s).find(only) == std::string::npos) continue;
    const Tensor x = engine::waves({s.batch, s.side, s.side, s.in}),
                 weight = engine::waves({s.out, s.in, s.kernel, s.kernel}, Device::kCpu, 0.3, 0.05),
                 half = cast(weight, DType::kF16);
    const Conv2dOptions options{.stride = s.stride, .pad_begin = s.kernel / 2};
    const auto with = [&](ConvAlgorithm algorithm) {
      const ConvAlgorithmScope scope(algorithm);
      return conv2d(x, half, {}, options);
    };
    // sumi's choice is the one that gives the same bytes.
    const Tensor chosen = with(ConvAlgorithm::kAuto), direct = with(ConvAlgorithm::kDirect);
    const bool is_direct = test::same_bytes(chosen, direct);
    std::vector<Contender> contenders{{"direct", [&] { with(ConvAlgorithm::kDirect); }},
                                      {"winograd", [&] { with(ConvAlgorithm::kWinograd); }}};
    std::string distance;
#ifdef SUMI_HAVE_DNNL
    OneDnn theirs(s, dnnl::algorithm::convolution_direct), automatic(s, dnnl::algorithm::convolution_auto);
    const Tensor widened = cast(half, DType::kF32);
    theirs.set(x, widened);
    automatic.set(x, widened);
    contenders.push_back({"oneDNN direct", [&] { theirs.run(); }});
    contenders.push_back({"oneDNN auto", [&] { automatic.run(); }});
#endif
    const std::vector<double> seconds = in_turns(contenders, 5);
#ifdef SUMI_HAVE_DNNL
    distance = fmt::format("{:.1e}", test::relative_l2(chosen, theirs.result(chosen.shape())));
#endif
    const double peak = measure_fma_peak();
    const double gflop = 2e-9 * static_cast<double>(chosen.numel() * s.in * s.kernel * s.kernel);
    fmt::print("{:<28}", label(s));
    print_figures(seconds, gflop, peak, is_direct ? 0 : 1, distance);
  }
}

}  // namespace
}  // namespace sumi::bench

int main(int count, char** arguments) { sumi::bench::run(count > 1 ? arguments[1] : ""); }
