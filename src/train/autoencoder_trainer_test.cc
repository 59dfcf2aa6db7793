// The autoencoder's loss and its terms: gradients against finite differences of the loss.
#include "train/autoencoder_trainer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/autograd.h"
#include "io/safetensors.h"
#include "models/init.h"
#include "models/lpips.h"
#include "ops/elementwise.h"
#include "tests/support/random_tensor.h"
#include "tests/support/relative_l2.h"
#include "tests/support/temp_folder.h"
#include "train/structural_term.h"

namespace sumi::train {
namespace {

const models::AutoencoderConfig kSmall{
    .embed_dim = 4, .z_channels = 4, .ch = 32, .resolution = 32, .ch_mult = {1, 2}, .num_res_blocks = 1};

class AutoencoderLoss : public testing::Test {
 protected:
  AutoencoderLoss() : model_(kSmall), judge_({.width = kLoss.disc_width, .layers = kLoss.disc_layers}) {
    TorchCpuGenerator generator(5);
    models::initialise(model_, generator);
    models::initialise_discriminator(judge_, generator);
    params_ = make_trainable(model_, "");
    judge_params_ = make_trainable(judge_, "");
  }

  AutoencoderLosses losses(int64_t step) {
    return autoencoder_gradients(model_, &judge_, x_, noise_, structural_term, kLoss, step);
  }

  static std::vector<Tensor> gradients(const std::vector<NamedTensor>& params) {
    std::vector<Tensor> out;
    out.reserve(params.size());
    for (const NamedTensor& p : params) out.push_back(p.value.grad() ? p.value.grad().clone() : Tensor());
    return out;
  }

  static double norm(const std::vector<Tensor>& grads) {
    double sum = 0.0;
    for (const Tensor& g : grads) {
      if (!g) continue;
      for (const float v : g.host<float>()) sum += double{v} * v;
    }
    return std::sqrt(sum);
  }

  // How `value` changes along the gradient, divided by the gradient's norm: 1 where the gradient is right.
  template <class Value>
  static double along(std::vector<NamedTensor>& params, const std::vector<Tensor>& grads, double step,
                      const Value& value) {
    const double length = norm(grads);
    const auto move = [&](double by) {
      for (size_t i = 0; i < params.size(); ++i) {
        if (!grads[i]) continue;
        const HostEdit<float> to(params[i].value);
        const HostView<float> grad(grads[i]);
        for (int64_t k = 0; k < to.size(); ++k) to[k] += static_cast<float>(by / length * grad[k]);
      }
    };
    move(step);
    const double above = value();
    move(-2.0 * step);
    const double below = value();
    move(step);
    return (above - below) / (2.0 * step) / length;
  }

  static constexpr models::AutoencoderLossConfig kLoss{
      .kl_weight = 0.01, .disc_start = 10, .disc_layers = 2, .disc_width = 16};
  models::AutoencoderKL model_;
  models::PatchDiscriminator judge_;
  std::vector<NamedTensor> params_, judge_params_;
  Tensor x_ = test::random({2, 32, 32, 3}, 0.5f), noise_ = test::random({2, 16, 16, 4});
};

TEST_F(AutoencoderLoss, BeforeTheDiscriminatorTheGradientIsThatOfTheSum) {
  const AutoencoderLosses at = losses(0);
  const std::vector<Tensor> grads = gradients(params_);
  EXPECT_NEAR(at.total, 32 * 32 * 3 * (at.reconstruction + at.perceptual) + 0.01 * at.kl, 1e-3 * at.total);
  EXPECT_EQ(at.adversarial_weight, 0.0);
  for (const NamedTensor& p : judge_params_) EXPECT_FALSE(p.value.grad()) << p.name;
  EXPECT_NEAR(along(params_, grads, 1e-3, [&] { return losses(0).total; }), 1.0, 0.01);
}

TEST_F(AutoencoderLoss, TheDiscriminatorPullsAsHardAsTheRestAtTheLastLayer) {
  losses(0);
  const std::vector<Tensor> before = gradients(params_);
  for (NamedTensor& p : params_) p.value.clear_grad();
  const AutoencoderLosses at = losses(10);
  const std::vector<Tensor> with = gradients(params_);
  double of_rest = 0.0, of_judge = 0.0;
  for (size_t i = 0; i < params_.size(); ++i) {
    if (params_[i].name != "decoder.conv_out.weight") continue;
    of_rest = norm({before[i]});
    of_judge = norm({with[i] - before[i]});
  }
  EXPECT_GT(at.adversarial_weight, 0.0);
  EXPECT_NEAR(of_judge, kLoss.disc_weight * of_rest, 0.01 * of_rest);
  // The weight itself has no gradient.
  EXPECT_NEAR(along(params_, with, 1e-4,
                    [&] {
                      const AutoencoderLosses l = losses(10);
                      return l.total + (at.adversarial_weight - l.adversarial_weight) * l.adversarial;
                    }),
              1.0, 0.02);
}

TEST_F(AutoencoderLoss, TheDiscriminatorLearnsFromItsOwnLossAlone) {
  losses(10);
  const std::vector<Tensor> grads = gradients(judge_params_);
  EXPECT_NEAR(along(judge_params_, grads, 1e-3, [&] { return losses(10).discriminator; }), 1.0, 0.02);
}

TEST_F(AutoencoderLoss, SharesOfABatchSumUp) {
  losses(10);
  const std::vector<Tensor> whole = gradients(params_), of_judge = gradients(judge_params_);
  for (NamedTensor& p : params_) p.value.clear_grad();
  for (NamedTensor& p : judge_params_) p.value.clear_grad();
  for (int i = 0; i < 2; ++i)
    autoencoder_gradients(model_, &judge_, x_, noise_, structural_term, kLoss, 10, {.share = 0.5f});
  for (size_t i = 0; i < whole.size(); ++i)
    EXPECT_LT(test::relative_l2(params_[i].value.grad(), whole[i]), 1e-4) << params_[i].name;
  for (size_t i = 0; i < of_judge.size(); ++i)
    EXPECT_LT(test::relative_l2(judge_params_[i].value.grad(), of_judge[i]), 1e-4) << judge_params_[i].name;
}

TEST(BatchNorm, NormsEachChannelOverAllSamples) {
  nn::BatchNorm norm(3);
  TorchCpuGenerator generator(1);
  models::initialise(norm, generator);
  const Tensor in = test::random({4, 5, 6, 3}, 2.0f, 1.0f);
  const HostView<float> x(in), y(norm(in));
  for (int64_t c = 0; c < 3; ++c) {
    double sum = 0.0, squares = 0.0, x_sum = 0.0, x_squares = 0.0;
    for (int64_t i = c; i < y.size(); i += 3) {
      sum += y[i];
      squares += std::pow(double{y[i]}, 2);
      x_sum += x[i];
      x_squares += std::pow(double{x[i]}, 2);
    }
    EXPECT_NEAR(sum / 120.0, 0.0, 1e-5);
    EXPECT_NEAR(squares / 120.0, 1.0, 1e-4);
    const double mean = x_sum / 120.0, deviation = std::sqrt(x_squares / 120.0 - mean * mean + 1e-5);
    EXPECT_NEAR(y[c], (double{x[c]} - mean) / deviation, 1e-4);
  }
}

TEST(StructuralTerm, TakesSidesThatHalveToOddOnes) {
  const Tensor x = test::random({1, 34, 36, 3});
  Tensor y = test::random({1, 34, 36, 3});
  y.set_requires_grad(true);
  Tape tape;
  tape.backward(structural_term(x, y));
  EXPECT_TRUE(y.grad().defined());
}

TEST(StructuralTerm, SeesEdgesAndNotEvenColour) {
  const Tensor x = test::random({1, 32, 32, 3}, 0.3f);
  EXPECT_EQ(structural_term(x, x).host<float>()[0], 0.0f);
  const Tensor grey = Tensor::zeros({1, 32, 32, 3}), white = Tensor::full({1, 32, 32, 3}, 0.5f);
  EXPECT_LT(structural_term(grey, white).host<float>()[0], 0.06f);  // only the zero padding contributes
  Tensor edge = grey.clone();
  for (int64_t y = 0; y < 32; ++y) {
    for (int64_t i = 16 * 3; i < 32 * 3; ++i) edge.host_edit<float>()[y * 96 + i] = 0.5f;
  }
  EXPECT_GT(structural_term(grey, edge).host<float>()[0], structural_term(grey, white).host<float>()[0]);
}

// VGG's layers and LPIPS's heads with made-up weights: names, shapes, and that the result is a distance. Not compared
// with the published weights, which are not in this repository.
TEST(Lpips, IsADistanceAndRefusesOtherFiles) {
  const test::TempFolder folder;
  std::vector<std::pair<std::string, Tensor>> vgg, heads;
  int64_t in = 3;
  for (const auto& [number, out] : std::vector<std::pair<int, int64_t>>{{0, 64},
                                                                        {2, 64},
                                                                        {5, 128},
                                                                        {7, 128},
                                                                        {10, 256},
                                                                        {12, 256},
                                                                        {14, 256},
                                                                        {17, 512},
                                                                        {19, 512},
                                                                        {21, 512},
                                                                        {24, 512},
                                                                        {26, 512},
                                                                        {28, 512}}) {
    const float scale = std::sqrt(2.0f / static_cast<float>(9 * in));
    vgg.emplace_back(fmt::format("features.{}.weight", number), test::random({out, in, 3, 3}, scale));
    vgg.emplace_back(fmt::format("features.{}.bias", number), Tensor::zeros({out}));
    in = out;
  }
  vgg.emplace_back("classifier.0.weight", Tensor::zeros({4, 4}));
  const int64_t widths[] = {64, 128, 256, 512, 512};
  for (int i = 0; i < 5; ++i)
    heads.emplace_back(fmt::format("lin{}.model.1.weight", i), Tensor::full({1, widths[i], 1, 1}, 0.1f));
  io::write_safetensors(folder / "vgg.safetensors", vgg);
  io::write_safetensors(folder / "heads.safetensors", heads);
  const auto of_vgg = io::open_checkpoint(folder / "vgg.safetensors"),
             of_heads = io::open_checkpoint(folder / "heads.safetensors");
  EXPECT_THROW(models::Lpips(*of_heads, *of_vgg, Device::kCpu), Error);
  const models::Lpips lpips(*of_vgg, *of_heads, Device::kCpu);
  const Tensor x = test::random({1, 32, 32, 3}, 0.5f), y = x + test::random({1, 32, 32, 3}, 0.1f),
               other = test::random({1, 32, 32, 3}, 0.5f);
  EXPECT_EQ(lpips(x, x).host<float>()[0], 0.0f);
  const float near_by = lpips(x, y).host<float>()[0];
  EXPECT_GT(near_by, 0.0f);
  EXPECT_FLOAT_EQ(near_by, lpips(y, x).host<float>()[0]);
  EXPECT_GT(lpips(x, other).host<float>()[0], near_by);
  Tensor moved = y.detach();
  moved.set_requires_grad(true);
  {
    Tape tape;
    tape.backward(lpips(x, moved));
  }
  const Tensor grad = moved.grad();
  double length = 0.0;
  for (const float v : grad.host<float>()) length += double{v} * v;
  length = std::sqrt(length);
  const auto scaled = [&](double by) { return y + grad * static_cast<float>(by / length); };
  const double change = lpips(x, scaled(0.05)).host<float>()[0] - lpips(x, scaled(-0.05)).host<float>()[0];
  EXPECT_NEAR(change / 0.1 / length, 1.0, 0.02);
}

}  // namespace
}  // namespace sumi::train
