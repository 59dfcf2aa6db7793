// Initial parameters for training from scratch.
#pragma once

#include "base/rng.h"
#include "nn/module.h"

namespace sumi::models {

// Gives every parameter of `module` a float32 value on `device`, drawn in the order of visit():
//   - weights of linear layers and convolutions, and their biases: uniform in ±1/√fan_in, as PyTorch's layers begin;
//   - norms: weight 1, bias 0;
//   - embedding tables: normal with deviation 0.02, as CLIP begins;
//   - the last layer of each residual branch of a UNet and its output layer: 0, so that a block begins as the identity
//     (LDM `zero_module`). The autoencoder's blocks begin as PyTorch's;
//   - a text encoder's weights, except queries and keys: √3 times PyTorch's, so that a layer keeps the scale of its
//     input, and its positions with deviation 0.004. With smaller weights all captions are nearly the same at first,
//     and a UNet trained at the same time takes long to distinguish them.
void initialise(nn::Module& module, Generator& generator, Device device = Device::kCpu);
void initialise_unet(nn::Module& unet, Generator& generator, Device device = Device::kCpu);
void initialise_text_encoder(nn::Module& encoder, Generator& generator, Device device = Device::kCpu);

}  // namespace sumi::models
