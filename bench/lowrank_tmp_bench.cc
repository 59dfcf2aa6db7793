#include <fmt/format.h>
#include "base/parallel.h"
#include "bench/in_turns.h"
#include "ops/elementwise.h"
#include "ops/layout.h"
#include "ops/matmul.h"
namespace sumi::bench {
struct S { int64_t m, k, n; bool gated; };
constexpr S kShapes[] = {{8192, 320, 320}, {8192, 320, 2560, true}, {8192, 1280, 320},  {2048, 640, 640},
                              {2048, 640, 5120, true}, {2048, 2560, 640}, {512, 1280, 1280},  {512, 1280, 10240, true},
                              {512, 5120, 1280}, {128, 1280, 1280}, {154, 768, 320}, {154,768,1280}};
void run(int64_t rank) {
  for (const S& s : kShapes) {
    const Tensor x = engine::waves({s.m, s.k}), w = cast(engine::waves({s.n, s.k}, Device::kCpu, 0.3, 0.05), DType::kF16);
    const LowRank c{engine::waves({rank, s.k}, Device::kCpu, 0.37, 0.05), engine::waves({s.n, rank}, Device::kCpu, 0.7, 0.05), 0.8f};
    const Tensor low = engine::waves({s.m, rank});
    const auto f = [&](const LowRank& ch) { return s.gated ? linear_geglu(x, w, {}, ch) : linear(x, w, {}, {.change = ch}); };
    std::vector<Contender> cs{{"plain", [&] { f({}); }}, {"change", [&] { f(c); }},
      {"down", [&] { linear(x, c.down, {}); }},
      {"composed", [&] { Tensor y = linear(x, w, {}); y = linear(linear(x, c.down, {}) * 0.8f, c.up, {}, {.residual = y}); if (s.gated) y = geglu(y); }}};
    const auto t = in_turns(cs, 9);
    fmt::print("{:>5}x{:<5} → {:<6} plain {:7.2f} ms  change {:.3f}  down {:.3f}  composed {:.3f}   flop {:.3f}\n", s.m, s.k, s.n, t[0]*1e3, t[1]/t[0], t[2]/t[0], t[3]/t[0], 1 + double(rank*(s.k+s.n))/double(s.k*s.n));
  }
}
}
int main(int argc, char** argv) { sumi::bench::run(argc > 1 ? atoi(argv[1]) : 16); }
