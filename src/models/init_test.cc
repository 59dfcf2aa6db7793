#include "models/init.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "models/clip_text/clip_text.h"

namespace sumi::models {
namespace {

double deviation(const Tensor& x) {
  double sum = 0.0, squares = 0.0;
  for (const float value : x.host<float>()) {
    sum += value;
    squares += double{value} * value;
  }
  const auto n = static_cast<double>(x.numel());
  return std::sqrt(squares / n - sum / n * (sum / n));
}

ClipTextConfig small() {
  return {
      .vocab_size = 512, .max_positions = 64, .hidden_size = 128, .layers = 2, .heads = 4, .intermediate_size = 256};
}

TEST(InitialiseTextEncoder, WeightsKeepTheirInputsScale) {
  ClipText encoder(small());
  TorchCpuGenerator generator(1);
  initialise_text_encoder(encoder, generator);
  std::map<std::string, double> deviations;
  nn::for_each_param(encoder, "", [&](const std::string& name, nn::Param& param) {
    if (param.shape.rank() == 2) deviations[name] = deviation(param.value);
  });
  EXPECT_NEAR(deviations.at("embeddings.token_embedding.weight"), 0.02, 0.0005);
  EXPECT_NEAR(deviations.at("embeddings.position_embedding.weight"), 0.004, 0.0002);
  for (const std::string layer : {"encoder.layers.0.", "encoder.layers.1."}) {
    EXPECT_NEAR(deviations.at(layer + "self_attn.q_proj.weight") * std::sqrt(128.0), 1.0 / std::sqrt(3.0), 0.02);
    EXPECT_NEAR(deviations.at(layer + "self_attn.v_proj.weight") * std::sqrt(128.0), 1.0, 0.03);
    EXPECT_NEAR(deviations.at(layer + "self_attn.out_proj.weight") * std::sqrt(128.0), 1.0, 0.03);
    EXPECT_NEAR(deviations.at(layer + "mlp.fc1.weight") * std::sqrt(128.0), 1.0, 0.03);
    EXPECT_NEAR(deviations.at(layer + "mlp.fc2.weight") * std::sqrt(256.0), 1.0, 0.03);
  }
}

}  // namespace
}  // namespace sumi::models
