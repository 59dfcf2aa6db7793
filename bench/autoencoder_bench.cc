// What decoding and encoding a picture of 512x512 costs with the full autoencoder of Stable Diffusion 1 and with a tiny
// one of its real size, on synthetic weights, against the machine's multiply-add peak.
//
//   autoencoder_bench [REPETITIONS (3) [profile]]
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <string_view>

#include "core/host_memory.h"
#include "engine/bench.h"
#include "models/autoencoder_kl/autoencoder_kl.h"
#include "models/taesd/taesd.h"
#include "ops/machine_peak.h"
#include "tests/support/synthetic_parameters.h"

namespace sumi::bench {
namespace {

void time(const char* name, const std::function<void()>& run, int repetitions, bool profiled) {
  std::vector<double> seconds, peaks;
  double flops = 0.0;
  int64_t bytes = 0;
  for (int i = -1; i < repetitions; ++i) {  // the first gets its memory
    peaks.push_back(measure_fma_peak());
    forget_host_memory_peak();
    const int64_t live = host_memory().live_bytes;
    const Profile profile(profiled ? Profile::Detail::kTimes : Profile::Detail::kFlops);
    const auto begin = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    flops = profile.flops();
    bytes = host_memory().peak_bytes - live;
    if (i >= 0) seconds.push_back(taken.count());
    if (!profiled || i + 1 < repetitions) continue;
    for (const Profile::Line& line : profile.lines())
      fmt::print("  {:<20} {:<44} {:>4} {:>8.1f} ms {:>7.1f} GFLOP/s\n", line.op, line.shape, line.calls,
                 line.seconds * 1e3, line.flops / line.seconds * 1e-9);
  }
  const double median = engine::median(seconds), rate = flops * 1e-9 / median, peak = engine::median(peaks);
  fmt::print("{:<12} {:>7.3f} s {:>6.0f} GFLOP {:>7.1f} GFLOP/s {:>5.2f} of the peak of {:.1f}; {:.0f} MB at most\n",
             name, median, flops * 1e-9, rate, rate / peak, peak, 1e-6 * static_cast<double>(bytes));
}

}  // namespace
}  // namespace sumi::bench

int main(int argc, char** argv) {
  using namespace sumi;
  const int repetitions = argc > 1 ? std::max(1, std::atoi(argv[1])) : 3;
  const bool profiled = argc > 2 && std::string_view(argv[2]) == "profile";
  models::AutoencoderKL full{models::AutoencoderConfig{}};
  models::Taesd tiny{models::TaesdConfig{}};
  test::fill_synthetic(full, "");
  test::fill_synthetic(tiny, "");
  const Tensor z = engine::waves({1, 64, 64, 4}), picture = engine::waves({1, 512, 512, 3}, Device::kCpu, 0.7, 0.9);
  bench::time(
      "tiny decode", [&] { tiny.decode(z); }, repetitions, profiled);
  bench::time(
      "tiny encode", [&] { tiny.encode(picture); }, repetitions, profiled);
  bench::time(
      "full decode", [&] { full.decode(z); }, repetitions, profiled);
  bench::time(
      "full encode", [&] { full.encode(picture); }, repetitions, profiled);
}
