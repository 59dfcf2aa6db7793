// The settings of one text-to-image run.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "diffusion/sampling.h"

namespace sumi::engine {

// How a prompt's text is read.
enum class PromptSyntax {
  kExact,     // as the original: every character is text, 77 ids, the excess is cut with a warning
  kWeighted,  // (word:1.2), [word], BREAK, and as many rows of 75 ids as it takes; the same for a plain short prompt
};

struct Txt2ImgRequest {
  std::vector<std::vector<std::string>> batches;  // one iteration: the prompts of each batch, in order
  std::string negative_prompt;
  int64_t n_iter = 1;   // how often all batches are drawn
  int64_t width = 512;  // of the picture, in pixels
  int64_t height = 512;
  int64_t channels = 0;      // of the latent; 0: the model's
  int64_t downsampling = 0;  // pixels a latent stands for on each side; 0: the model's
  diffusion::SampleOptions sampling;
  double scale = 7.5;  // classifier-free guidance; 1: none
  uint64_t seed = 42;
  std::string rng = "cpu";    // whose random numbers: PyTorch's on the "cpu" or on "cuda"
  bool fixed_code = false;    // every batch starts from the same noise
  bool tiled_decode = false;  // pictures are decoded in tiles: less memory, more time, a small error
  PromptSyntax syntax = PromptSyntax::kExact;
  // This process draws batch number `share` of every `share_of`, with the same result as if it had drawn all.
  int64_t share = 0, share_of = 1;

  int64_t pictures() const;  // of all iterations
};

// `prompt` n_samples times, in one batch.
std::vector<std::vector<std::string>> repeat_prompt(const std::string& prompt, int64_t n_samples);
// Lines in batches of n_samples; the last may be short.
std::vector<std::vector<std::string>> chunk_prompts(const std::vector<std::string>& lines, int64_t n_samples);

// Throws Error(kUsage) for what no model can do: prompts that are not valid text; sizes, counts and numbers out of
// range. Cheap: call it before any file is opened.
void check_request(const Txt2ImgRequest& request);

inline constexpr int64_t kMaxSide = 16384;  // pixels
inline constexpr int64_t kMaxBatch = 1024;  // pictures at once
inline constexpr int64_t kMaxIterations = 1'000'000;
inline constexpr int kMaxSteps = 10'000;
inline constexpr double kMaxScale = 1000.0;

}  // namespace sumi::engine
