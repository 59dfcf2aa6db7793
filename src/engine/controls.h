// The ControlNets of a job: bound once, their hints encoded for each size that is drawn.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/resolve.h"
#include "engine/sample_latent.h"
#include "models/control/control_net.h"

namespace sumi::engine {

// Whether a control acts in a step: where that lies wholly within its part of the steps, as in diffusers.
bool acts_in(double start, double end, int step, int steps);

class Controls {
 public:
  // Binds the weights. `jobs` and `model` must outlive this object. `guess`: residuals are softer towards the fine
  // levels, and the half without the prompt gets none.
  Controls(const std::vector<ControlJob>& jobs, const models::StableDiffusion& model, bool guess);

  // See SampleJob::control. With guidance its batch is doubled, the half without the prompt first.
  using Control = std::function<models::ControlResiduals(const Tensor& x, const std::vector<double>& timesteps,
                                                         const models::Conditioning& conditioning, int step)>;
  // Encodes the hints for pictures of that size, brought to it as `resize` says, for a trajectory of `steps` steps.
  Control at(LatentSize latent, const std::string& resize, int steps, bool guided);
  // The same for hints [1,8h,8w,3] in [0, 1], one for each control.
  Control with(const std::vector<Tensor>& hints, int steps, bool guided);

 private:
  struct Net {
    const ControlJob& job;
    std::unique_ptr<models::ControlNet> network;
    Tensor hint = {};  // its features
    models::ContextCache cache = {};
  };

  static bool acts(const ControlJob& job, int step, int steps);
  models::ControlResiduals of(Net& net, const Tensor& x, const std::vector<double>& timesteps,
                              const models::Conditioning& conditioning, bool guided);

  const models::StableDiffusion& model_;
  bool guess_;
  std::vector<Net> nets_;
};

}  // namespace sumi::engine
