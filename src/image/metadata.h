// The generation parameters that a picture carries, in the text that AUTOMATIC1111's web UI writes and others read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sumi::image {

// The PNG text chunk's key.
inline constexpr const char* kParametersKey = "parameters";

struct GenerationParameters {
  std::string prompt;
  std::string negative_prompt;  // empty: left out, as are the empty texts below
  int64_t steps = 0;
  std::string sampler;
  std::string schedule;
  double guidance = 0.0;
  uint64_t seed = 0;
  int64_t width = 0;
  int64_t height = 0;
  double eta = 0.0;        // 0: left out
  std::string rng;         // the random generator, where it is not PyTorch's on the CPU
  std::string seeding;     // how pictures get their seeds, where it is not the original's way
  std::string precision;   // type that the networks computed in, where it is not f32
  int64_t batch_pos = -1;  // number of the picture among those of one seed, from 0 on; -1: the only one
  std::string model;       // name of the checkpoint, no path
  std::string version;     // "sumi 0.1.0"
};

// prompt
// Negative prompt: …
// Steps: 20, Sampler: Euler a, Schedule type: Karras, CFG scale: 7.5, Seed: 42, Size: 512x512, …, Model: …, Version: …
// Control characters other than newlines are left out; a value with a comma, colon or newline is quoted as JSON.
std::string format_parameters(const GenerationParameters& parameters);

// `text` without its control characters (C0, DEL, C1; newline and tab become spaces unless `keep_newlines`), for logs,
// names and metadata.
std::string strip_controls(std::string_view text, bool keep_newlines = false);

}  // namespace sumi::image
