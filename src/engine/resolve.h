// From a request to a job in which everything is decided: checked, parsed, tokenised and put on its grid, once.
#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "diffusion/sampling.h"
#include "engine/canvas.h"
#include "engine/given.h"
#include "engine/prompt.h"
#include "image/resize.h"
#include "io/checkpoint.h"
#include "models/config.h"
#include "models/control/control_file.h"
#include "models/defaults.h"
#include "models/lora/weights.h"
#include "models/upscaler/upscaler.h"
#include "ops/interpolate.h"
#include "sumi/request.h"
#include "text/network_tags.h"

namespace sumi::engine {

// What a request is resolved against.
struct Facts {
  const models::ModelConfig& config;
  std::function<const text::ClipTokenizer&()> tokenizer;
  const diffusion::NoiseSchedule& noise_schedule;                                                // outlives the job
  std::function<std::shared_ptr<const io::Checkpoint>(const std::string& file)> open_lora = {};  // none: io's
  std::filesystem::path model = {};        // LoRAs named in prompts are looked for beside it,
  std::filesystem::path data_folder = {};  // then in loras/ here; empty: nowhere else
};

// What decides where neither the request nor the model does.
struct Form {
  models::DrawingDefaults drawing = {};
  std::string syntax = "exact";
};
// "quick" or "original" (see Request::defaults); throws Error(kUsage) for another name.
Form form_of(const std::string& defaults);

// The latent's [H,W].
struct LatentSize {
  int64_t height, width;
};

struct LoraFile {
  std::shared_ptr<const io::Checkpoint> file;
  models::LoraWeights weights;
};

// The second pass, over a larger version of what the first has drawn.
struct SecondPass {
  std::optional<diffusion::Grid> grid;
  Entry entry;
  LatentSize latent{};
  std::optional<Interpolation> latent_resize;     // how latents are enlarged; none: pixels are, by
  std::optional<image::Filter> pixel_filter;      // this, or by
  std::shared_ptr<const models::Upscaler> model;  // this
  std::optional<size_t> prompt, negative;         // in texts; none: the first pass's
  double scale = 7.5;                             // of guidance
};

// What an upscaling model's activations may take.
inline constexpr int64_t kUpscalerBytes = 300'000'000;

// A control as it is used.
struct ControlJob {
  std::shared_ptr<const models::ControlFile> file;
  image::Image hint;  // as given, or made of that
  double weight = 1.0, start = 0.0, end = 1.0;
};

struct ResolvedJob {
  Settings settings;  // complete but for the fields about the machine: backend, precision, threads, memory
  std::vector<TokenizedPrompt> texts;        // each distinct one once
  size_t negative = 0;                       // in texts; not used without guidance
  size_t empty = 0;                          // the empty text; read only where prompts take different numbers of rows
  std::vector<std::vector<size_t>> batches;  // of one iteration: prompts, in texts
  int64_t iterations = 1;
  bool fixed_noise = false;
  int64_t share = 0, share_of = 1;
  LatentSize latent{};
  std::optional<Canvas> canvas;  // of the picture that it begins from
  Convention convention = Convention::kWebui;
  Entry entry{.from_noise = true};
  MaskContent content = MaskContent::kOriginal;
  bool nine_channels = false;  // the denoiser takes mask and masked picture
  std::optional<SecondPass> second;
  std::vector<ControlJob> controls;
  std::vector<LoraFile> loras;
  Tensor embeddings;  // [n,D] rows beyond those of the text encoder's table; undefined: none
  std::vector<std::vector<std::string>> embeddings_of;  // the files that a picture of each text uses; empty: all do
  int64_t end_mark = 0;                                 // the id that ends a text
  std::optional<diffusion::Grid> grid;                  // always there once resolved

  bool guided() const { return settings.scale != 1.0; }
  // Whether any pass is.
  bool ever_guided() const { return guided() || (second && second->scale != 1.0); }
  bool encodes() const;  // pictures, by the autoencoder's encoder
  bool seeds_by_picture() const { return settings.seeding == "picture"; }
  size_t largest_batch() const;
  int64_t longest_context() const;  // tokens of the text with the most rows
};

// A request checked and parsed as far as no model is needed.
struct ParsedRequest {
  Request request;
  Form form;
  PromptSyntax syntax = PromptSyntax::kExact;
  std::vector<ParsedPrompt> texts;  // each distinct prompt once, without its LoRA tags
  std::vector<size_t> prompts;      // the request's, in texts
  ParsedPrompt negative;
  std::vector<text::LoraTag> loras;  // named in the prompts
  std::optional<ParsedPrompt> hires_prompt, hires_negative;
  std::string hires_sampler, hires_schedule;  // as sampler and schedule
  std::shared_ptr<const GivenPictures> pictures;
  std::string sampler, schedule;  // registered names, where the request names either; an empty schedule: the sampler's
};

// Throws Error(kUsage) for what no model can do: numbers out of range, unknown names, prompts that are no text or whose
// syntax is broken; Error(kNoInput) and Error(kData) for pictures that cannot be read. `form`: used where neither the
// request nor the model decides; none: the one that request.defaults names.
ParsedRequest parse_request(Request request, const std::optional<Form>& form = {});

// Throws Error(kUsage) for what this model cannot do, Error(kNoInput) and Error(kData) for LoRA files and the
// tokenizer.
ResolvedJob resolve(const Facts& facts, const ParsedRequest& parsed);

// How a job is divided, as far as settings do not say.
struct JobParts {
  int64_t iterations = 1;
  bool fixed_noise = false;
};

// The settings of a picture in the text that A1111 writes into its files; everything that decides its bytes and is in
// the settings. `number`: its place among pictures of one seed, or -1.
std::string parameters_of(const Settings& settings, const std::string& prompt, uint64_t seed, int64_t number,
                          const JobParts& parts = {});

// What a model is called: its file's name without a known ending, or its folder's.
inline constexpr std::array<std::string_view, 6> kModelEndings{".ckpt", ".safetensors", ".pt", ".gguf", ".pth", ".bin"};
std::string model_name(const std::filesystem::path& checkpoint);

// Whether that names a second pass's way to resize latents or pixels; else it is the file of a model.
bool is_upscaler_name(const std::string& name);

// How the second pass's upscaler of that name ("latent", "latent-bicubic", …) resizes latents; none: it is none of
// these.
std::optional<Interpolation> latent_resize_of(std::string_view name);
inline constexpr std::string_view kLatentResizes =
    "latent, latent-antialiased, latent-bicubic, latent-bicubic-antialiased, latent-nearest, latent-nearest-exact";

// Below 2^32, so that it is easy to copy.
uint64_t random_seed();

inline constexpr int64_t kMaxSide = 16384;            // pixels
inline constexpr int64_t kMaxBatch = 1024;            // pictures at once
inline constexpr int64_t kMostPictures = 10'000'000;  // of one iteration
inline constexpr int64_t kMaxIterations = 1'000'000;
inline constexpr int64_t kMaxSteps = 10'000;
inline constexpr double kMaxScale = 1000.0;

// Throws Error(kUsage) for numbers that no model can use, and for no prompt. Opens nothing.
void check_request(const Request& request);

}  // namespace sumi::engine
