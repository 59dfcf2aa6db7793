// Linear layers of the UNet at 512x512 (batch 2), against OpenBLAS where it is installed.
#ifdef SUMI_HAVE_OPENBLAS
#include <cblas.h>
#endif

#include <fmt/format.h>

#include "base/parallel.h"
#include "bench/in_turns.h"
#include "ops/layout.h"
#include "ops/machine_peak.h"
#include "ops/matmul.h"
#include "tests/support/relative_l2.h"

namespace sumi::bench {
namespace {

struct Shape3 {
  int64_t m, k, n;
};

// As `sumi bench --profile` lists them for Stable Diffusion 1.x.
constexpr Shape3 kShapes[] = {{8192, 320, 320},  {8192, 320, 2560}, {8192, 1280, 320},  {2048, 640, 640},
                              {2048, 640, 5120}, {2048, 2560, 640}, {512, 1280, 1280},  {512, 1280, 10240},
                              {512, 5120, 1280}, {128, 1280, 1280}, {128, 1280, 10240}, {128, 5120, 1280},
                              {154, 768, 320},   {154, 768, 640},   {154, 768, 1280}};

void run() {
  fmt::print("{} threads; GFLOP/s and share of the multiply-add peak, measured after each shape\n", num_threads());
  fmt::print("{:<22} {:>14} {:>14} {:>14} {:>9} {:>7}\n", "rows x in → out", "sumi f16", "sumi f32", "OpenBLAS f32",
             "distance", "peak");
  for (const Shape3& s : kShapes) {
    const Tensor x = engine::waves({s.m, s.k}), weight = engine::waves({s.n, s.k}, Device::kCpu, 0.3, 0.05),
                 half = cast(weight, DType::kF16);
    Tensor theirs = Tensor::zeros({s.m, s.n}), ours;
    std::vector<Contender> contenders{{"f16", [&] { linear(x, half, {}); }},
                                      {"f32", [&] { ours = linear(x, weight, {}); }}};
#ifdef SUMI_HAVE_OPENBLAS
    openblas_set_num_threads(num_threads());
    contenders.push_back({"OpenBLAS", [&] {
                            const HostView<float> left(x), right(weight);
                            const HostEdit<float> result(theirs);
                            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(s.m),
                                        static_cast<int>(s.n), static_cast<int>(s.k), 1.0f, left.data(),
                                        static_cast<int>(s.k), right.data(), static_cast<int>(s.k), 0.0f, result.data(),
                                        static_cast<int>(s.n));
                          }});
#endif
    const std::vector<double> seconds = in_turns(contenders);
    const double peak = measure_fma_peak();
    const double gflop = 2e-9 * static_cast<double>(s.m * s.n * s.k);
    fmt::print("{:<22}", fmt::format("{}x{} → {}", s.m, s.k, s.n));
    for (size_t i = 0; i < seconds.size(); ++i) {
      fmt::print(" {:>7.1f} {:>5.0f}%", gflop / seconds[i], 100.0 * gflop / seconds[i] / peak);
    }
    fmt::print(" {:>9} {:>7.1f}\n", seconds.size() > 2 ? fmt::format("{:.1e}", test::relative_l2(ours, theirs)) : "",
               peak);
  }
}

}  // namespace
}  // namespace sumi::bench

int main() { sumi::bench::run(); }
