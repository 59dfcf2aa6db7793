// From a request to a job in which everything is decided: checked, parsed, tokenised and put on its grid, once.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "diffusion/sampling.h"
#include "engine/prompt.h"
#include "io/checkpoint.h"
#include "models/config.h"
#include "models/defaults.h"
#include "models/lora/weights.h"
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
  std::vector<LoraFile> loras;
  Tensor embeddings;                    // [n,D] rows beyond those of the text encoder's table; undefined: none
  int64_t end_mark = 0;                 // the id that ends a text
  std::optional<diffusion::Grid> grid;  // always there once resolved

  bool guided() const { return settings.scale != 1.0; }
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
  std::string sampler, schedule;  // registered names, where the request names either; an empty schedule: the sampler's
};

// Throws Error(kUsage) for what no model can do: numbers out of range, unknown names, prompts that are no text or whose
// syntax is broken. Opens nothing. `form`: used where neither the request nor the model decides; none: the one that
// request.defaults names.
ParsedRequest parse_request(Request request, const std::optional<Form>& form = {});

// Throws Error(kUsage) for what this model cannot do, Error(kNoInput) and Error(kData) for LoRA files and the
// tokenizer.
ResolvedJob resolve(const Facts& facts, const ParsedRequest& parsed);

// The settings of a picture in the text that A1111 writes into its files. `number`: its place among pictures of one
// seed, or -1.
std::string parameters_of(const Settings& settings, const std::string& prompt, uint64_t seed, int64_t number);

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
