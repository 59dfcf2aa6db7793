// How a picture enters a trajectory: by the rules of the three programs whose numbers people have (docs/pictures.md).
#pragma once

#include <functional>
#include <string>

#include "diffusion/sampling.h"
#include "ops/gaussian.h"

namespace sumi::engine {

enum class Convention {
  kOriginal,   // CompVis' scripts/img2img.py, DDIMSampler.sample(mask=…), and its inpainting of nine channels
  kDiffusers,  // StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline
  kWebui       // AUTOMATIC1111's web UI, on k-diffusion's samplers
};
// "original", "diffusers", "webui"; throws Error(kUsage) for another name.
Convention convention_of(const std::string& name);
const char* name_of(Convention convention);

// What lies under the mask at first; `kFill` is done to the picture's pixels, before it is encoded.
enum class MaskContent { kOriginal, kFill, kNoise, kNothing };
MaskContent mask_content_of(const std::string& name);

// Where a trajectory from a picture enters its grid.
struct Entry {
  int first_step = 0;
  bool from_noise = false;      // from noise alone: the picture is not in the first latent
  diffusion::Level level = {};  // at which picture and noise are mixed
  int steps_of(const diffusion::Grid& grid) const { return grid.steps() - first_step; }
};
// `steps` as asked for, of which a grid may have more. `masked`: parts of the picture are kept, and strength 1 means
// from noise alone. Takes the step that is left out from the grid. Throws Error(kUsage) where the strength leaves no
// step to run.
Entry enter(diffusion::Grid& grid, int64_t steps, double strength, Convention convention, bool masked);

// The second pass of a larger picture: exactly `steps` steps, at the end of a grid of more (see grid_steps).
Entry last_steps(const diffusion::Grid& grid, int64_t steps);
int64_t grid_steps(int64_t steps, double strength);

// What the encoder gives for one picture.
struct Encoded {
  Tensor moments;             // [1,h,w,2C]; undefined: the encoder has no variance, and
  Tensor latent;              // [1,h,w,C] is in the denoiser's scale
  double scale_factor = 1.0;  // from the moments' scale to the denoiser's

  bool defined() const { return moments.defined() || latent.defined(); }
  // `count` latents in the denoiser's scale, each with its own noise; `noise` [1 or count,h,w,C] comes from `draw`,
  // which is not called without moments.
  Tensor sample(int64_t count, const std::function<Tensor()>& draw) const;
};

// The pictures of a job as latents. Without `mask` all is drawn anew.
struct PictureLatents {
  Encoded picture;         // may be undefined where the entry is from noise and nothing is kept by blending
  Encoded masked_picture;  // without what is under the mask, for a denoiser of nine channels; else undefined
  Tensor mask;             // [1,h,w,1], 1 is drawn anew, 0 kept
  MaskContent content = MaskContent::kOriginal;
};

// Where a batch draws its noise, each of the given shape [N,h,w,C].
struct BatchNoise {
  diffusion::NoiseSource first;  // the noise that it starts from
  diffusion::NoiseSource next;   // all other, from the same generators
  diffusion::NoiseSource
      apart;  // of the encoder where a program draws it from another generator: fresh ones, same seeds
  diffusion::NoiseSource channels_last;  // as `next`, in the way of torch.randn_like(a picture that was read by numpy)
  diffusion::NoiseSource numpy;          // fresh generators of numpy's, same seeds
  bool by_picture = false;               // every picture has its own generators
};

struct BatchBeginning {
  diffusion::Start start;
  Tensor channels;  // [N,h,w,1+C] for a denoiser of nine channels: mask, then masked picture; else undefined
  diffusion::Constraint constrain = {};
  diffusion::Rewrite rewrite = {};
};

// Begins the batches of a job one after the other.
class Beginning {
 public:
  Beginning(PictureLatents latents, const Entry& entry, Convention convention, int64_t largest_batch);
  // Draws in the order of the convention. latent: [N,h,w,C].
  BatchBeginning operator()(const Shape& latent, const BatchNoise& noise);

 private:
  bool nine_channels() const { return latents_.masked_picture.defined(); }
  Tensor picture(const Shape& latent, const BatchNoise& noise);
  Tensor masked_picture(const Shape& latent, const BatchNoise& noise) const;
  Tensor under_mask(const Tensor& picture, const Tensor& noise) const;
  void keep(BatchBeginning& batch, const Tensor& known, const Tensor& first_noise, const Shape& latent,
            const BatchNoise& noise) const;

  PictureLatents latents_;
  Entry entry_;
  Convention convention_;
  int64_t largest_;
  Tensor kept_;  // the original's latents, drawn once for all batches
};

}  // namespace sumi::engine
