// What a LoRA costs: steps of the UNet at 512x512 (batch 2) in turns, without one, with a random LoRA on every linear
// layer of its transformers, and with the same composed of plain products, as it is while it is trained.
//
//   lora_step_bench CHECKPOINT [RANK (16) [STEPS (5) [profile]]]
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "base/rng.h"
#include "bench/in_turns.h"
#include "engine/open.h"
#include "nn/adapters.h"
#include "ops/profile.h"

namespace sumi::bench {
namespace {

Tensor random(Generator& generator, const Shape& shape, float size) {
  Tensor out = Tensor::empty(shape);
  const HostEdit<float> values(out);
  generator.randn(values.span());
  for (float& value : values) value *= size;
  return out;
}

// Changes of rank `rank` of attention, feed-forward and projections: what LoRA files commonly have.
nn::Adapters random_adapters(nn::Module& unet, int64_t rank, bool trained) {
  nn::Adapters out;
  TorchCpuGenerator generator(1);
  nn::for_each_param(unet, "", [&](const std::string& name, nn::Param& param) {
    const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
    if (!param.adaptable || !(has("attn") || has(".ff.") || has("proj_in") || has("proj_out"))) return;
    nn::LowRank change{.down = random(generator, {rank, param.shape[1]}, 0.05f),
                       .up = random(generator, {param.shape[0], rank}, 0.01f),
                       .scale = 0.8f};
    change.up.set_requires_grad(trained);
    out.add(param, change);
  });
  out.finish();
  return out;
}

void print_profile(const Profile& profile) {
  for (const Profile::Line& line : profile.lines()) {
    if (line.seconds < 0.005) continue;
    fmt::print("  {:<16} {:<46} {:>4} {:>7.1f} ms {:>6.1f} GFLOP/s\n", line.op, line.shape, line.calls,
               line.seconds * 1e3, line.flops / line.seconds * 1e-9);
  }
}

struct Way {
  const char* name;
  const nn::Adapters* adapters;
  std::vector<double> seconds, processor;  // of each step
  double flops = 0.0;
};

void run(const std::string& file, int64_t rank, int steps, bool profiled) {
  const engine::OpenModel opened = engine::open_model({.path = file});
  const models::StableDiffusion model = engine::load_model(opened, {.text = false, .autoencoder = false});
  const nn::Adapters adapters = random_adapters(model.denoiser(), rank, false),
                     trained = random_adapters(model.denoiser(), rank, true);
  const models::ModelConfig& config = model.config();
  const Tensor x = engine::waves({2, 64, 64, config.unet.in_channels});
  const Tensor context = engine::waves({2, 77, config.unet.context_dim});
  Way ways[] = {{"without", nullptr, {}, {}}, {"with", &adapters, {}, {}}, {"composed", &trained, {}, {}}};
  for (int step = -1; step < steps; ++step) {  // the first maps the weights in
    for (Way& way : ways) {
      const nn::AdaptersScope scope(way.adapters);
      const Profile profile(profiled && step + 1 == steps ? Profile::Detail::kTimes : Profile::Detail::kFlops);
      const auto begin = std::chrono::steady_clock::now();
      const std::clock_t worked = std::clock();
      model.predict(x, {500.0, 500.0}, {.sequence = context});
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
      const auto processor = static_cast<double>(std::clock() - worked) / CLOCKS_PER_SEC;
      way.flops = profile.flops();
      if (step < 0) continue;
      way.seconds.push_back(taken.count());
      way.processor.push_back(processor);
      if (profiled) print_profile(profile);
    }
  }
  fmt::print("rank {}: {} weights changed, {} replaced; {:.1f} MB; {:.1f} GFLOP more than {:.1f}\n", rank,
             adapters.low_rank_weights(), adapters.merged_weights(), 1e-6 * static_cast<double>(adapters.bytes()),
             1e-9 * (ways[1].flops - ways[0].flops), 1e-9 * ways[0].flops);
  fmt::print("medians of {} steps: seconds; of the processors, where other programs disturb less\n", steps);
  const double seconds = engine::median(ways[0].seconds), processor = engine::median(ways[0].processor);
  for (const Way& way : ways) {
    fmt::print("{:<9} {:>7.3f} {:>6.3f} {:>8.3f} {:>6.3f}\n", way.name, engine::median(way.seconds),
               engine::median(way.seconds) / seconds, engine::median(way.processor),
               engine::median(way.processor) / processor);
  }
}

}  // namespace
}  // namespace sumi::bench

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "lora_step_bench CHECKPOINT [RANK [STEPS [profile]]]\n");
    return 64;
  }
  const auto number = [&](int at, int other) { return argc > at ? std::atoi(argv[at]) : other; };
  sumi::bench::run(argv[1], number(2, 16), number(3, 5), argc > 4);
}
