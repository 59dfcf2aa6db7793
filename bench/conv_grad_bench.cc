// Gradients of convolutions' weights, in training: direct sums and Winograd's, and oneDNN where it is installed.
// `conv_grad_bench "→ 64,"` measures only the shapes whose line holds that text.
#ifdef SUMI_HAVE_DNNL
#include <dnnl.hpp>
#endif

#include <fmt/format.h>

#include <span>
#include <string_view>

#include "base/parallel.h"
#include "bench/in_turns.h"
#include "ops/conv_grad.h"
#include "ops/machine_peak.h"
#include "tests/support/relative_l2.h"

namespace sumi::bench {
namespace {

struct GradShape {
  int64_t batch, side, in, out;
};

// The 25 M-parameter UNet that `sumi bench` trains, Stable Diffusion 1.x at 256x256 and 512x512, its autoencoder on
// crops.
constexpr GradShape kShapes[] = {{32, 16, 64, 64},    {32, 16, 128, 64},  {32, 8, 128, 128}, {32, 8, 384, 128},
                                 {32, 4, 256, 256},   {32, 4, 512, 256},  {1, 32, 320, 320}, {1, 16, 640, 640},
                                 {1, 8, 1280, 1280},  {1, 64, 320, 320},  {1, 32, 640, 640}, {1, 16, 1280, 1280},
                                 {1, 16, 2560, 1280}, {4, 128, 128, 128}, {4, 64, 256, 256}, {8, 64, 16, 16}};

#ifdef SUMI_HAVE_DNNL
// oneDNN at its best: the layouts are its own choice, and putting pictures into them is not counted.
class OneDnn {
 public:
  OneDnn(const GradShape& s, const Tensor& x, const Tensor& dy)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using dnnl::memory;
    const auto any = [](const memory::dims& dims) {
      return memory::desc(dims, memory::data_type::f32, memory::format_tag::any);
    };
    const memory::desc source = any({s.batch, s.in, s.side, s.side}), weights = any({s.out, s.in, 3, 3}),
                       result = any({s.batch, s.out, s.side, s.side});
    const memory::dims one{1, 1};
    const auto algorithm = dnnl::algorithm::convolution_direct;
    const dnnl::convolution_forward::primitive_desc forward(
        {dnnl::prop_kind::forward_training, algorithm, source, weights, result, one, one, one}, engine_);
    const dnnl::convolution_backward_weights::primitive_desc backward(
        {algorithm, source, weights, result, one, one, one}, engine_, forward);
    source_ = put(x, {s.batch, s.in, s.side, s.side}, backward.src_desc());
    pull_ = put(dy, {s.batch, s.out, s.side, s.side}, backward.diff_dst_desc());
    gradient_ = memory(backward.diff_weights_desc(), engine_);
    plain_ = memory({{s.out, s.in, 3, 3}, memory::data_type::f32, memory::format_tag::oihw}, engine_);
    conv_ = dnnl::convolution_backward_weights(backward);
  }

  void run() {
    conv_.execute(stream_, {{DNNL_ARG_SRC, source_}, {DNNL_ARG_DIFF_DST, pull_}, {DNNL_ARG_DIFF_WEIGHTS, gradient_}});
    stream_.wait();
  }

  Tensor result(const Shape& shape) {
    dnnl::reorder(gradient_, plain_).execute(stream_, gradient_, plain_);
    stream_.wait();
    const auto* values = static_cast<const float*>(plain_.get_data_handle());
    return Tensor::from(std::span<const float>(values, static_cast<size_t>(shape.numel())), shape);
  }

 private:
  dnnl::memory put(const Tensor& from, const dnnl::memory::dims& dims, const dnnl::memory::desc& desc) {
    const HostView<float> values(from);
    dnnl::memory plain({dims, dnnl::memory::data_type::f32, dnnl::memory::format_tag::nhwc}, engine_,
                       const_cast<float*>(values.data()));
    dnnl::memory to(desc, engine_);
    dnnl::reorder(plain, to).execute(stream_, plain, to);
    stream_.wait();
    return to;
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::memory source_, pull_, gradient_, plain_;
  dnnl::convolution_backward_weights conv_;
};
#endif

void run(std::string_view only) {
  fmt::print(
      "{} threads; GFLOP/s counted for direct sums and ratio to the multiply-add peak; what sumi chooses is marked\n",
      num_threads());
  fmt::print("{:<24} {:>15} {:>15} {:>14} {:>9} {:>7}\n", "batch x side x in → out", "direct", "winograd", "oneDNN",
             "distance", "peak");
  for (const GradShape& s : kShapes) {
    const std::string label = fmt::format("{}x{}²x{} → {}, 3x3", s.batch, s.side, s.in, s.out);
    if (label.find(only) == std::string::npos) continue;
    const Tensor x = engine::waves({s.batch, s.side, s.side, s.in}),
                 dy = engine::waves({s.batch, s.side, s.side, s.out}, Device::kCpu, 0.3, 0.05);
    const auto with = [&](ConvAlgorithm algorithm) {
      const ConvAlgorithmScope scope(algorithm);
      return conv2d_grad_weight(x, dy, {s.out, s.in, 3, 3}, {.pad_begin = 1});
    };
    // sumi's choice is the one that gives the same bytes.
    const Tensor chosen = with(ConvAlgorithm::kAuto), direct = with(ConvAlgorithm::kDirect);
    const bool is_direct = test::same_bytes(chosen, direct);
    std::vector<Contender> contenders{{"direct", [&] { with(ConvAlgorithm::kDirect); }},
                                      {"winograd", [&] { with(ConvAlgorithm::kWinograd); }}};
    std::string distance;
#ifdef SUMI_HAVE_DNNL
    OneDnn theirs(s, x, dy);
    contenders.push_back({"oneDNN", [&] { theirs.run(); }});
#endif
    const std::vector<double> seconds = in_turns(contenders, 5);
#ifdef SUMI_HAVE_DNNL
    distance = fmt::format("{:.1e}", test::relative_l2(chosen, theirs.result(chosen.shape())));
#endif
    const double peak = measure_fma_peak();
    const double gflop = 2e-9 * static_cast<double>(dy.numel() * s.in * 9);
    fmt::print("{:<24}", label);
    print_figures(seconds, gflop, peak, is_direct ? 0 : 1, distance);
  }
}

}  // namespace
}  // namespace sumi::bench

int main(int count, char** arguments) { sumi::bench::run(count > 1 ? arguments[1] : ""); }
