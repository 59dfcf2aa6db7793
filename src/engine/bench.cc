#include "engine/bench.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "ops/machine_peak.h"

namespace sumi::engine {
double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : 0.5 * (values[half - 1] + values[half]);
}

Tensor waves(const Shape& shape, Device device, double pitch, double size) {
  Tensor out = Tensor::empty(shape);
  const HostEdit<float> values(out);
  for (int64_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(size * std::sin(pitch * static_cast<double>(i)));
  return out.to(device);
}

namespace {

// The network of that name, with inputs of the requested size.
std::function<void()> network(const models::StableDiffusion& model, const std::string& name, int64_t size) {
  const models::ModelConfig& c = model.config();
  const Device device = model.device();
  const int64_t side = size / c.autoencoder.downsampling();
  if (name == "unet_step") {
    const Tensor x = waves({2, side, side, c.unet.in_channels}, device);
    const Tensor context =
        c.unet.context_dim > 0 ? waves({2, c.text.max_positions, c.unet.context_dim}, device) : Tensor();
    return [&model, x, context] { model.predict(x, {500.0, 500.0}, {.sequence = context}); };
  }
  if (name == "vae_decode") {
    const Tensor z = waves({1, side, side, c.autoencoder.embed_dim}, device);
    return [&model, z] { model.decode_unscaled(z); };
  }
  Tensor ids = Tensor::empty({2, c.text.max_positions}, DType::kI64);
  const HostEdit<int64_t> values(ids);
  for (int64_t i = 0; i < values.size(); ++i) values[i] = (i * 37) % c.text.vocab_size;
  return [&model, ids] { model.encode_text(ids); };
}

}  // namespace

const std::vector<std::string>& bench_names() {
  static const std::vector<std::string> names{"unet_step", "vae_decode", "text_encode", "train_step"};
  return names;
}

BenchResult run_bench(const models::StableDiffusion& model, const BenchOptions& options,
                      const std::function<void(const std::string&, int, int)>& on_run) {
  const auto& names = bench_names();
  SUMI_CHECK_KIND(kUsage, options.only.empty() || std::find(names.begin(), names.end(), options.only) != names.end(),
                  "unknown benchmark \"{}\"; choose from {}", options.only, fmt::join(names, ", "));
  BenchResult result{};
  std::vector<double> peaks{measure_fma_peak()};
  for (const std::string& name : names) {
    if (!options.only.empty() && name != options.only) continue;
    if (name == "train_step" && !options.train_step) continue;
    const std::function<void()> run = name == "train_step" ? options.train_step() : network(model, name, options.size);
    std::vector<double> seconds;
    double flops = 0.0;
    std::vector<Profile::Line> lines;
    for (int i = -1; i < options.repetitions; ++i) {
      if (on_run) on_run(name, i + 1, options.repetitions + 1);
      const auto begin = std::chrono::steady_clock::now();
      const Profile profile(options.profile ? Profile::Detail::kTimes : Profile::Detail::kFlops);
      run();
      const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      flops = profile.flops();
      lines = profile.lines();
      peaks.push_back(measure_fma_peak());
      if (i >= 0) seconds.push_back(elapsed);  // the first run maps the weights in
    }
    result.lines.push_back({name, median(seconds), flops * 1e-9, std::move(lines)});
  }
  result.fma_peak_gflops = median(peaks);
  return result;
}

}  // namespace sumi::engine
