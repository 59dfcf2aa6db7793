// The settings text of a picture. Declared in resolve.h.
#include <algorithm>
#include <array>
#include <string_view>

#include "diffusion/sampling.h"
#include "engine/resolve.h"
#include "image/metadata.h"

namespace sumi::engine {
namespace {

// A1111 expects the model's name, without its path.
std::string model_name(const std::filesystem::path& checkpoint) {
  const std::filesystem::path path = checkpoint.has_filename() ? checkpoint : checkpoint.parent_path();
  const std::string ending = path.extension().string();
  static constexpr std::array<std::string_view, 4> kEndings{".ckpt", ".safetensors", ".pt", ".gguf"};
  const bool known = std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end();
  return known ? path.stem().string() : path.filename().string();
}

// A1111's order is the text encoder first.
std::string tag_of(const Lora& lora) {
  const std::string name = std::filesystem::path(lora.file).stem().string();
  const double unet = lora.unet.value_or(lora.weight), text = lora.text.value_or(lora.weight);
  return unet == text ? fmt::format(" <lora:{}:{}>", name, text) : fmt::format(" <lora:{}:{}:{}>", name, text, unet);
}

}  // namespace

std::string parameters_of(const Settings& s, const std::string& prompt, uint64_t seed, int64_t number) {
  std::string text = prompt;
  for (const Lora& lora : s.loras) text += tag_of(lora);
  return image::format_parameters({.prompt = text,
                                   .negative_prompt = s.negative_prompt,
                                   .steps = s.steps,
                                   .sampler = diffusion::web_name_of_sampler(s.sampler),
                                   .schedule = diffusion::web_name_of_schedule(s.schedule, s.sampler),
                                   .guidance = s.scale,
                                   .seed = seed,
                                   .width = s.width,
                                   .height = s.height,
                                   .eta = s.eta,
                                   .rng = s.rng == "cpu" ? std::string() : s.rng,
                                   .seeding = s.seeding == "run" ? std::string() : s.seeding,
                                   .precision = s.precision == "f32" ? std::string() : s.precision,
                                   .batch_pos = number,
                                   .model = model_name(s.model),
                                   .version = "sumi " SUMI_VERSION});
}

}  // namespace sumi::engine
