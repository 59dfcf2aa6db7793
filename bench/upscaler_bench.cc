// What upscaling costs: a tile of 128x128 pixels through the network of RealESRGAN_x4plus (64 features, 23 blocks,
// growth 32) and through the compact one, on random weights, against the machine's multiply-add peak; then how far
// tiles with a smaller border than the layers need are from the whole picture.
//
//   upscaler_bench [REPETITIONS (5) [profile|borders]]
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/rng.h"
#include "engine/bench.h"
#include "models/upscaler/compact_net.h"
#include "models/upscaler/rrdb_net.h"
#include "ops/layout.h"
#include "ops/machine_peak.h"
#include "tests/support/synthetic_parameters.h"

namespace sumi::bench {
namespace {

Tensor noise(const Shape& shape) {
  TorchCpuGenerator generator(1);
  Tensor out = Tensor::empty(shape);
  const HostEdit<float> values(out);
  generator.randn(values.span());
  for (float& value : values.span()) value = std::clamp(0.5f + 0.25f * value, 0.0f, 1.0f);
  return out;
}

void print_profile(const Profile& profile) {
  for (const Profile::Line& line : profile.lines())
    fmt::print("  {:<20} {:<44} {:>4} {:>8.1f} ms {:>7.1f} GFLOP/s\n", line.op, line.shape, line.calls,
               line.seconds * 1e3, line.flops / line.seconds * 1e-9);
}

void time(const char* name, const models::UpscalerNetwork& network, int repetitions, bool profiled) {
  constexpr int64_t kSide = 128;
  const Tensor x = noise({1, kSide, kSide, 3});
  std::vector<double> seconds, peaks;
  double flops = 0.0;
  for (int i = -1; i < repetitions; ++i) {  // the first gets its memory
    peaks.push_back(measure_fma_peak());
    const Profile profile(profiled ? Profile::Detail::kTimes : Profile::Detail::kFlops);
    const auto begin = std::chrono::steady_clock::now();
    network(x);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    flops = profile.flops();
    if (i >= 0) seconds.push_back(taken.count());
    if (profiled && i + 1 == repetitions) print_profile(profile);
  }
  const double median = engine::median(seconds), rate = flops * 1e-9 / median, peak = engine::median(peaks);
  fmt::print("{:<8} {:>7.3f} s {:>7.0f} GFLOP {:>7.1f} GFLOP/s {:>5.2f} of the peak of {:.1f}; {:.0f} MB at most\n",
             name, median, flops * 1e-9, rate, rate / peak, peak,
             1e-6 * static_cast<double>(network.peak_bytes(kSide, kSide)));
}

// Two tiles beside each other, each with `border` pixels of the other.
void seam(const models::UpscalerNetwork& network, const Tensor& x, const Tensor& whole, int64_t border) {
  const int64_t half = x.dim(2) / 2, s = network.scale();
  double largest = 0.0, squares = 0.0;
  int64_t visible = 0;
  for (const bool right : {false, true}) {
    const int64_t from = right ? half - border : 0, to = right ? x.dim(2) : half + border;
    const Tensor tile = network(crop(x, 0, x.dim(1), from, to));
    const int64_t begin = right ? border : 0;
    const Tensor own = crop(tile, 0, tile.dim(1), begin * s, (begin + half) * s);
    const Tensor want = crop(whole, 0, whole.dim(1), right ? half * s : 0, (right ? 2 : 1) * half * s);
    const HostView<float> a(own), b(want);
    for (int64_t i = 0; i < a.size(); ++i) {
      const double error = std::abs(a[i] - b[i]);
      largest = std::max(largest, error);
      squares += error * error;
      visible += error > 1.0 / 255.0 ? 1 : 0;
    }
  }
  fmt::print("border {:>3}: largest difference {:.1e} ({:.2f}/255), rms {:.1e}, {} values over 1/255\n", border,
             largest, largest * 255.0, std::sqrt(squares / static_cast<double>(whole.numel())), visible);
}

}  // namespace
}  // namespace sumi::bench

int main(int argc, char** argv) {
  using namespace sumi;
  const int repetitions = argc > 1 ? std::max(1, std::atoi(argv[1])) : 5;
  const std::string_view word = argc > 2 ? argv[2] : "";
  models::RrdbNet rrdb{models::RrdbConfig{}};
  models::CompactNet compact{models::CompactConfig{}};
  test::fill_synthetic(rrdb, "");
  test::fill_synthetic(compact, "");
  if (word == "borders") {
    const Tensor x = bench::noise({1, 48, 160, 3}), whole = rrdb(x);
    for (const int64_t border : {0, 2, 4, 8, 10, 12, 16, 24, 32, 48}) bench::seam(rrdb, x, whole, border);
    return 0;
  }
  bench::time("ESRGAN", rrdb, repetitions, word == "profile");
  bench::time("compact", compact, repetitions, word == "profile");
}
