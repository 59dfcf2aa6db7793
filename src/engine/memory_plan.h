// How much memory a job will need, estimated before it is allocated.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "io/checkpoint.h"
#include "models/config.h"

namespace sumi::engine {

// The properties of a job that its memory depends on.
struct JobSize {
  int64_t batch = 1;    // pictures at once; the UNet sees twice as many with guidance
  int64_t batches = 1;  // one after another
  bool guided = true;
  int64_t latent_height = 64;
  int64_t latent_width = 64;
  int64_t context_tokens = 77;
  bool tiled_decode = false;
  bool seamless = false;
  bool encodes = false;  // pictures of that size
  // A second pass at that size; 0: none.
  int64_t second_height = 0, second_width = 0;
  bool second_guided = true, second_encodes = false;
  size_t controls = 0;              // ControlNets
  int64_t control_weights = 0;      // bytes of all of them
  int64_t other = 0;                // bytes of what else the job holds: pictures, a safety checker
  int64_t preview_width = 0;        // channels of the tiny autoencoder that draws previews; 0: none does
  DType activations = DType::kF32;  // what the networks compute in
  bool loaded = false;              // the weights are, and so is the memory that converted ones take
};

// Bytes, at the peak of each phase. Pictures are encoded and decoded one by one.
struct MemoryPlan {
  int64_t unet_weights = 0;
  int64_t decoder_weights = 0;
  int64_t encoder_weights = 0;  // where the job encodes
  int64_t text_weights = 0;
  int64_t copied_weights = 0;  // the part of these that will be converted into fresh memory
  // The part that stays in mapped files; the encoder's too where the job does not encode.
  int64_t mapped_unet = 0, mapped_decoder = 0, mapped_encoder = 0, mapped_text = 0;
  int64_t adapters = 0;         // what LoRAs add to the weights
  int64_t control_weights = 0;  // of ControlNets
  int64_t other = 0;            // see JobSize
  int64_t unet_activations = 0;
  int64_t decoder_activations = 0;
  int64_t encoder_activations = 0;
  int64_t tiled_activations = 0;  // to decode in tiles, where the job does not
  bool tiled_decode = false;
  bool loads_first = false;      // which reads the whole of the mapped files
  bool gives_back = false;       // the job encodes pictures: the pages of all weights are given back before it begins
  bool between_passes = false;   // pictures are decoded and encoded between two passes of the denoiser
  bool several_batches = false;  // the denoiser runs again after pictures were decoded

  // The largest of the phases, if there is room: weights stay in memory from the phase that reads them until the job
  // gives their pages back, before and after pictures are encoded for the first pass and after the last step.
  int64_t resident() const;
  int64_t weights() const;  // of the model's networks, without adapters
  // What a job takes for itself, without its model's mapped weights.
  int64_t of_the_job() const;
  // What must fit at once: the larger of the two phases. Mapped weights of one that is over can be dropped by the
  // system and read again.
  int64_t required() const;
  // Address space for fresh memory, mapped files aside.
  int64_t allocated() const;
};

// `checkpoint` as the networks will see it, with the types they use.
MemoryPlan plan_memory(const io::Checkpoint& checkpoint, const models::ModelConfig& config, const JobSize& job);

// What the system can give; nullopt if it is not known.
struct MemoryLimits {
  std::optional<int64_t> available;      // physical memory that is free or can be freed, and the group's limit on it
  std::optional<int64_t> address_space;  // left under RLIMIT_AS
};
MemoryLimits memory_limits();
// Physical memory that this process has, in bytes; 0 where the system does not tell.
int64_t resident_bytes();

// "needs about 3.1 GB: 2.1 GB of weights, 0.9 GB to sample, 0.8 GB to decode; 11.2 GB are available".
std::string describe(const MemoryPlan& plan, const MemoryLimits& limits);
// Throws Error(kUnavailable), with both figures and a way out, if the job cannot fit.
void check_memory(const MemoryPlan& plan, const MemoryLimits& limits);

// "812 MB", "3.1 GB" (decimal).
std::string format_bytes(int64_t bytes);

}  // namespace sumi::engine
