// sumi bench: seconds, counted work and the share of the machine's peak, for each network.
#include <memory>
#include <nlohmann/json.hpp>

#include "app/cli/arguments.h"
#include "app/cli/command.h"
#include "app/cli/common.h"
#include "app/cli/process.h"
#include "base/check.h"
#include "base/parallel.h"
#include "engine/bench.h"
#include "engine/open.h"
#include "train/bench_step.h"

namespace sumi::app {
namespace {

struct Bench {
  EngineFlags engine;
  ModelChoice model;
  engine::BenchOptions options;
  int64_t repetitions = options.repetitions;
  bool json = false, quiet = false;

  int run();
};

std::string as_json(const engine::BenchResult& result, DType activations) {
  nlohmann::ordered_json json{
      {"fma_peak_gflops", result.fma_peak_gflops}, {"threads", num_threads()}, {"precision", name_of(activations)}};
  for (const engine::BenchLine& line : result.lines) {
    json[line.name] = {{"seconds", line.seconds},
                       {"gflop", line.gflop},
                       {"gflops", line.gflops()},
                       {"ratio", line.gflops() / result.fma_peak_gflops}};
  }
  return json.dump() + "\n";
}

std::string as_text(const engine::BenchResult& result, DType activations) {
  std::string text = fmt::format("{:<12} {:>9} {:>9} {:>9} {:>7}\n", "", "seconds", "GFLOP", "GFLOP/s", "ratio");
  for (const engine::BenchLine& line : result.lines) {
    text += fmt::format("{:<12} {:>9.3f} {:>9.0f} {:>9.1f} {:>7.2f}\n", line.name, line.seconds, line.gflop,
                        line.gflops(), line.gflops() / result.fma_peak_gflops);
  }
  if (activations != DType::kF32)
    text +=
        fmt::format("activations {}; no training step, which computes in f32; the autoencoder is in f32 under f16\n",
                    name_of(activations));
  return text +
         fmt::format("multiply-add peak of this machine, {} threads, measured between the runs: {:.1f} GFLOP/s\n",
                     num_threads(), result.fma_peak_gflops);
}

// Every op by shape, the longest first, with its share of the peak.
std::string as_table(const engine::BenchLine& line, double peak) {
  std::string text = fmt::format("\n{:<20} {:<44} {:>5} {:>8} {:>6} {:>8} {:>8} {:>7}\n", line.name, "shape", "calls",
                                 "ms", "%", "GFLOP", "GFLOP/s", "of peak");
  double total = 0.0;
  for (const Profile::Line& op : line.profile) total += op.seconds;
  for (const Profile::Line& op : line.profile) {
    text += fmt::format("{:<20} {:<44} {:>5} {:>8.1f} {:>6.1f}", op.op, op.shape, op.calls, op.seconds * 1e3,
                        100.0 * op.seconds / total);
    const double rate = op.flops * 1e-9 / op.seconds;
    text += op.flops > 0.0 ? fmt::format(" {:>8.1f} {:>8.1f} {:>7.2f}\n", op.flops * 1e-9, rate, rate / peak) : "\n";
  }
  return text;
}

int Bench::run() {
  engine.apply();
  SUMI_CHECK_KIND(kUsage, repetitions >= 1 && repetitions <= 1000, "--repetitions must be 1 to 1000, not {}",
                  repetitions);
  options.repetitions = static_cast<int>(repetitions);
  SUMI_CHECK_KIND(kUsage, options.size >= 64 && options.size <= 4096 && options.size % 64 == 0,
                  "--size must be a multiple of 64 up to 4096, not {}", options.size);
  const engine::OpenModel opened = engine::open_model(model.options(engine));
  const models::StableDiffusion networks = engine::load_model(opened, {.encoder = false});
  if (opened.activations == DType::kF32) options.train_step = [&] { return train::make_bench_step(opened.device); };
  const engine::BenchResult result =
      engine::run_bench(networks, options, [&](const std::string& name, int repetition, int of) {
        if (!quiet)
          note(fmt::format("{}, run {} of {}{}", name, repetition + 1, of, repetition == 0 ? " (warms up)" : ""));
      });
  say(json ? as_json(result, opened.activations) : as_text(result, opened.activations));
  if (json) return 0;
  for (const engine::BenchLine& line : result.lines) {
    if (options.profile) say(as_table(line, result.fma_peak_gflops));
  }
  return 0;
}

std::function<int()> declare(CLI::App& app) {
  auto bench = std::make_shared<Bench>();
  add_model_options(app, bench->model, false);
  add_engine_options(app, bench->engine);
  add_precision_option(app, bench->engine);
  app.add_option("--only", bench->options.only,
                 "unet_step, vae_decode, text_encode or train_step (a UNet of its own, 25 million parameters)")
      ->type_name("NAME");
  add_integer(app, "--repetitions", bench->repetitions, "Runs of each network; medians are reported");
  add_integer(app, "--size", bench->options.size, "Pixels a side");
  app.add_flag("--profile", bench->options.profile, "Also the time of every operation by shape");
  app.add_flag("--json", bench->json, "One JSON object on standard output");
  app.add_flag("--quiet", bench->quiet, "No progress");
  return [bench] { return bench->run(); };
}

const CommandRegistration kRegistration(
    {"bench", "How fast the networks run here, against the machine's peak",
     "  sumi bench --ckpt sd-v1-4.ckpt\n  sumi bench --ckpt sd-v1-4.ckpt --only unet_step --json\n", declare});

}  // namespace
}  // namespace sumi::app
