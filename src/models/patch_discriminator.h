// The network that distinguishes pictures from reconstructions, patch by patch, during the training of an autoencoder.
#pragma once

#include <memory>
#include <vector>

#include "base/rng.h"
#include "nn/layers.h"

namespace sumi::models {

struct DiscriminatorConfig {
  int64_t in_channels = 3;
  int64_t width = 64;  // channels of the first layer; doubled by each up to eight times that
  int64_t layers = 3;  // that halve the picture
};

// Picture [N,H,W,3] → one number a patch [N,h,w,1], high for real ones. Always as in training: its batch norms take the
// statistics of the batch. (Isola et al. 2017; `NLayerDiscriminator`)
class PatchDiscriminator : public nn::Module {
 public:
  explicit PatchDiscriminator(const DiscriminatorConfig& config);
  Tensor operator()(const Tensor& x) const;
  void visit(nn::ParamVisitor& v) override;

 private:
  struct Layer {
    nn::Conv2d conv;
    std::unique_ptr<nn::BatchNorm> norm;  // null: none
  };
  std::vector<Layer> layers_;
};

// Fresh parameters: convolutions normal with deviation 0.02, gains of norms normal around 1 with that deviation, biases
// of norms 0 and of convolutions as PyTorch's layers begin. (`weights_init`)
void initialise_discriminator(PatchDiscriminator& module, Generator& generator, Device device = Device::kCpu);

}  // namespace sumi::models
