#include "models/lora.h"

#include <gtest/gtest.h>

#include "io/safetensors.h"
#include "models/clip_text/clip_text.h"
#include "models/stable_diffusion.h"
#include "models/unet/unet.h"
#include "ops/layout.h"
#include "tests/support/fake_checkpoint.h"
#include "tests/support/random_tensor.h"
#include "tests/support/relative_l2.h"
#include "tests/support/synthetic_parameters.h"
#include "tests/support/temp_folder.h"

namespace sumi::models {
namespace {

using Named = std::vector<std::pair<std::string, Tensor>>;

UNetConfig small() {
  return {.model_channels = 32,
          .num_res_blocks = {1},
          .channel_mult = {1, 2},
          .transformer_depth = {1, 1},
          .num_heads = 4,
          .context_dim = 16};
}

class Lora : public testing::Test {
 protected:
  Lora() : unet_(small()), x_(test::random({2, 8, 8, 4})), context_(test::random({2, 5, 16})) { fill(unet_); }

  static void fill(UNet& unet) { test::fill_synthetic(unet, "model.diffusion_model."); }

  Tensor run(const UNet& unet) const { return unet(x_, {10.0, 500.0}, {.sequence = context_}); }

  std::unique_ptr<io::Checkpoint> file_of(const Named& tensors, const std::string& name = "lora") {
    io::write_safetensors(folder_ / (name + ".safetensors"), tensors);
    return io::open_checkpoint(folder_ / (name + ".safetensors"));
  }

  // What the UNet makes with the file's change.
  Tensor changed(const Named& tensors, double weight = 1.0) {
    nn::Adapters adapters;
    add_lora(*file_of(tensors), {weight, weight}, {.unet = &unet_}, adapters);
    adapters.finish();
    const nn::AdaptersScope scope(&adapters);
    return run(unet_);
  }

  // A UNet whose weight `name` is W + scale·up·down.
  Tensor merged(const std::string& name, const Tensor& down, const Tensor& up, float scale) {
    UNet unet(small());
    fill(unet);
    nn::for_each_param(unet, "", [&](const std::string& other, nn::Param& param) {
      if (other != name) return;
      const int64_t rank = down.dim(0), row = down.numel() / rank;
      const HostView<float> of_up(up), of_down(down);
      const HostEdit<float> values(param.value);
      for (int64_t o = 0; o < param.shape[0]; ++o) {
        for (int64_t i = 0; i < row; ++i) {
          double sum = 0.0;
          for (int64_t r = 0; r < rank; ++r) sum += double{of_up[o * rank + r]} * of_down[r * row + i];
          values[o * row + i] += static_cast<float>(scale * sum);
        }
      }
    });
    return run(unet);
  }

  UNet unet_;
  Tensor x_, context_;
  test::TempFolder folder_;
};

TEST_F(Lora, NamesAreTheEcosystems) {
  const LoraNames names(unet_);
  EXPECT_EQ(names("model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight"),
            "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q");
  EXPECT_EQ(names("model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_out.0.weight"),
            "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_out_0");
  EXPECT_EQ(names("model.diffusion_model.output_blocks.0.1.transformer_blocks.0.ff.net.0.proj.weight"),
            "lora_unet_up_blocks_0_attentions_0_transformer_blocks_0_ff_net_0_proj");
  EXPECT_EQ(names("cond_stage_model.transformer.text_model.encoder.layers.3.self_attn.q_proj.weight"),
            "lora_te_text_model_encoder_layers_3_self_attn_q_proj");
  EXPECT_EQ(names("first_stage_model.quant_conv.weight"), "");
}

TEST_F(Lora, EqualsTheMergedWeightWhateverTheSpelling) {
  const Tensor down = test::random({2, 16}, 0.3f), up = test::random({32, 2}, 0.3f), alpha = Tensor::full({}, 1.0f);
  const std::string kohya = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k";
  const Tensor want = merged("input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", down, up, 0.8f * 1.0f / 2.0f);
  ASSERT_GT(test::relative_l2(want, run(unet_)), 1e-4);
  const Tensor got =
      changed({{kohya + ".lora_down.weight", down}, {kohya + ".lora_up.weight", up}, {kohya + ".alpha", alpha}}, 0.8);
  EXPECT_LE(test::relative_l2(got, want), 1e-5);
  const std::string compvis = "lora_unet_input_blocks_1_1_transformer_blocks_0_attn2_to_k";
  const Tensor same = changed(
      {{compvis + ".lora_down.weight", down}, {compvis + ".lora_up.weight", up}, {compvis + ".alpha", alpha}}, 0.8);
  EXPECT_TRUE(test::same_bytes(got, same));
  // Without an alpha it is the rank.
  const std::string peft = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k";
  const Tensor third = changed({{peft + ".lora_A.weight", down}, {peft + ".lora_B.weight", up}}, 0.4);
  EXPECT_LE(test::relative_l2(third, want), 1e-5);
}

TEST_F(Lora, AnAlphaMayBeAWholeNumber) {
  const Tensor down = test::random({2, 16}, 0.3f), up = test::random({32, 2}, 0.3f);
  const std::string k = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k";
  const auto with = [&](const Tensor& alpha) {
    return changed({{k + ".lora_down.weight", down}, {k + ".lora_up.weight", up}, {k + ".alpha", alpha}});
  };
  const Tensor want = with(Tensor::full({}, 4.0f));
  EXPECT_EQ(test::relative_l2(with(Tensor::from(std::vector<int64_t>{4}, {1})), want), 0.0);
  EXPECT_THROW(with(Tensor::zeros({1}, DType::kBool)), Error);
}

TEST_F(Lora, ChangesConvolutionsAndGatedLayers) {
  const Tensor down = test::random({3, 32, 3, 3}, 0.2f), up = test::random({32, 3, 1, 1}, 0.2f);
  const std::string conv = "lora_unet_down_blocks_0_resnets_0_conv2";
  EXPECT_LE(test::relative_l2(changed({{conv + ".lora_down.weight", down}, {conv + ".lora_up.weight", up}}),
                              merged("input_blocks.1.0.out_layers.3.weight", down, up, 1.0f)),
            1e-5);
  const Tensor thin = test::random({3, 32}, 0.2f), wide = test::random({256, 3}, 0.2f);
  const std::string gated = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_ff_net_0_proj";
  EXPECT_LE(test::relative_l2(changed({{gated + ".lora_down.weight", thin}, {gated + ".lora_up.weight", wide}}),
                              merged("input_blocks.1.1.transformer_blocks.0.ff.net.0.proj.weight", thin, wide, 1.0f)),
            1e-5);
}

TEST_F(Lora, BeginsAsNoChange) {
  const Tensor before = run(unet_);
  TorchCpuGenerator generator(3);
  nn::Adapters adapters;
  begin_lora(unet_, 4, 4.0, generator, Device::kCpu, adapters);
  adapters.finish();
  const nn::AdaptersScope scope(&adapters);
  EXPECT_GT(adapters.low_rank_weights(), 0);
  EXPECT_LE(test::relative_l2(run(unet_), before), 1e-6);
}

// The UNet's own weights are not touched, so the next job starts from the same model.
TEST_F(Lora, BelongsToItsScope) {
  const Tensor before = run(unet_);
  const std::string q = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q";
  const Tensor down = test::random({2, 64}), up = test::random({64, 2});
  EXPECT_GT(test::relative_l2(changed({{q + ".lora_down.weight", down}, {q + ".lora_up.weight", up}}), before), 1e-4);
  EXPECT_TRUE(test::same_bytes(run(unet_), before));
}

TEST_F(Lora, SeveralFilesAddUp) {
  const std::string name = "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight";
  const std::string k = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k";
  for (const int64_t rank : {2, 9}) {  // of a weight [32, 16]: beside it, and merged with it
    const Tensor down = test::random({rank, 16}, 0.3f), up = test::random({32, rank}, 0.3f);
    const Named tensors{{k + ".lora_down.weight", down}, {k + ".lora_up.weight", up}};
    nn::Adapters adapters;
    add_lora(*file_of(tensors, "one"), {0.5, 0.5}, {.unet = &unet_}, adapters);
    add_lora(*file_of(tensors, "two"), {0.25, 0.25}, {.unet = &unet_}, adapters);
    adapters.finish();
    EXPECT_EQ(adapters.merged_weights(), rank == 9 ? 1 : 0);
    const nn::AdaptersScope scope(&adapters);
    EXPECT_LE(test::relative_l2(run(unet_), merged(name, down, up, 0.75f)), 1e-5);
  }
}

// The plan is made of names and shapes alone; it must be what the changes take, or more.
TEST_F(Lora, BytesArePlannedFromTheFilesAlone) {
  const std::string block = "_transformer_blocks_0", mid = "lora_unet_mid_block_attentions_0" + block;
  const auto change = [](const std::string& module, const Shape& down, const Shape& up, DType dtype = DType::kF32) {
    return Named{{module + ".lora_down.weight", cast(test::random(down), dtype)},
                 {module + ".lora_up.weight", cast(test::random(up), dtype)}};
  };
  const auto expect_covers = [&](const std::vector<Named>& contents, double most) {
    std::vector<std::unique_ptr<io::Checkpoint>> files;
    std::vector<const io::Checkpoint*> pointers;
    nn::Adapters adapters;
    for (size_t i = 0; i < contents.size(); ++i) {
      files.push_back(file_of(contents[i], std::to_string(i)));
      pointers.push_back(files.back().get());
      add_lora(*files.back(), {1.0, 1.0}, {.unet = &unet_}, adapters);
    }
    const int64_t planned = lora_bytes(pointers);
    adapters.finish();
    ASSERT_GT(adapters.bytes(), 0);
    EXPECT_GE(planned, adapters.bytes());
    EXPECT_LE(static_cast<double>(planned), most * static_cast<double>(adapters.bytes()));
  };
  const Named thin = change(mid + "_attn1_to_q", {4, 64}, {64, 4}),
              fat = change(mid + "_attn1_to_q", {90, 64}, {64, 90});
  const Named half = change(mid + "_attn1_to_q", {4, 64}, {64, 4}, DType::kF16);
  const Named conv = change("lora_unet_down_blocks_0_resnets_0_conv2", {3, 32, 3, 3}, {32, 3, 1, 1});
  const Named wide = change("lora_unet_down_blocks_0_resnets_0_conv2", {31, 32, 3, 3}, {32, 31, 1, 1});
  expect_covers({thin}, 1.0);
  expect_covers({fat}, 1.0);
  expect_covers({thin, thin, conv}, 1.0);
  expect_covers({thin, fat}, 1.0);
  expect_covers({thin, fat, wide, conv}, 1.0);
  expect_covers({half}, 2.0);
  // Under two spellings a weight is counted twice.
  const std::string compvis = "lora_unet_middle_block_1" + block + "_attn1_to_q";
  expect_covers({fat, change(compvis, {90, 64}, {64, 90})}, 2.0);
  EXPECT_EQ(lora_bytes({}), 0);
  // Nothing is read, so broken and enormous shapes are no more than numbers.
  const std::string down = mid + ".lora_down.weight", up = mid + ".lora_up.weight";
  const test::FakeCheckpoint alone(test::Shapes{{down, {4, 64}}}), flat(test::Shapes{{down, {4}}, {up, {4}}}),
      none(test::Shapes{{down, {0, 64}}, {up, {64, 0}}}),
      enormous(test::Shapes{{down, {1 << 30, 1 << 30}}, {up, {1 << 30, 1 << 30}}});
  for (const io::Checkpoint* broken : std::initializer_list<const io::Checkpoint*>{&flat, &none})
    EXPECT_EQ(lora_bytes(std::span(&broken, 1)), 0);
  const io::Checkpoint* half_a_change = &alone;
  EXPECT_THROW(lora_bytes(std::span(&half_a_change, 1)), Error);
  const io::Checkpoint* huge[] = {&enormous, &enormous};
  EXPECT_GE(lora_bytes(huge), int64_t{1} << 50);
}

// A model's networks run in the adapters of the caller's context; the model itself stays as it is.
TEST_F(Lora, AStableDiffusionComputesWithTheCallersAdapters) {
  const auto model_of = [](size_t text_encoders) {
    Components parts;
    parts.config.unet = small();
    auto unet = std::make_unique<UNet>(small());
    fill(*unet);
    parts.denoiser = std::move(unet);
    const ClipTextConfig text{
        .vocab_size = 64, .max_positions = 8, .hidden_size = 96, .layers = 1, .heads = 1, .intermediate_size = 128};
    for (size_t i = 0; i < text_encoders; ++i) {
      parts.text_encoders.push_back(std::make_unique<ClipText>(text));
      test::fill_synthetic(*parts.text_encoders.back(), "cond_stage_model.transformer.text_model.");
    }
    return StableDiffusion(std::move(parts));
  };
  const std::string q = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q",
                    v = "lora_te_text_model_encoder_layers_0_self_attn_v_proj";
  const auto file = file_of({{q + ".lora_down.weight", test::random({2, 64})},
                             {q + ".lora_up.weight", test::random({64, 2})},
                             {v + ".lora_down.weight", test::random({2, 96})},
                             {v + ".lora_up.weight", test::random({96, 2})}});
  const StableDiffusion model = model_of(1);
  const Tensor ids = Tensor::from(std::vector<int64_t>{3, 14, 15, 9}, {1, 4});
  const auto both = [&] {
    return std::pair{model.predict(x_, {10.0, 500.0}, {.sequence = context_}), model.encode_text(ids)};
  };
  const auto [noise, states] = both();
  nn::Adapters adapters;
  model.adapt(adapters, *file, {0.8, 0.8});
  adapters.finish();
  EXPECT_EQ(adapters.low_rank_weights(), 2);
  {
    const nn::AdaptersScope scope(&adapters);
    const auto [changed_noise, changed_states] = both();
    EXPECT_GT(test::relative_l2(changed_noise, noise), 1e-4);
    EXPECT_GT(test::relative_l2(changed_states, states), 1e-4);
  }
  const auto [noise_again, states_again] = both();
  EXPECT_TRUE(test::same_bytes(noise_again, noise));
  EXPECT_TRUE(test::same_bytes(states_again, states));
}

// Embeddings and fused projections compute without adapters; a change of theirs must not be dropped in silence.
TEST_F(Lora, WhatNoLayerAppliesIsNotTakenForUsed) {
  const std::string emb = "lora_unet_time_embedding_linear_1";
  const Tensor down = test::random({2, 32}), up = test::random({128, 2});
  EXPECT_NO_THROW(changed({{emb + ".lora_down.weight", down}, {emb + ".lora_up.weight", up}}));
  ClipText text(
      {.vocab_size = 64, .max_positions = 8, .hidden_size = 96, .layers = 1, .heads = 1, .intermediate_size = 128});
  test::fill_synthetic(text, "");
  const std::string table = "lora_te_text_model_embeddings_token_embedding";
  const auto file = file_of(
      {{table + ".lora_down.weight", test::random({2, 96})}, {table + ".lora_up.weight", test::random({64, 2})}});
  nn::Adapters adapters;
  EXPECT_THROW(add_lora(*file, {}, {.texts = {&text}}, adapters), Error);
}

TEST_F(Lora, RefusesWhatDoesNotFit) {
  const std::string q = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q";
  const Tensor down = test::random({2, 64}), up = test::random({64, 2});
  EXPECT_NO_THROW(changed({{q + ".lora_down.weight", down}, {q + ".lora_up.weight", up}}));
  EXPECT_THROW(changed({{q + ".lora_down.weight", down}}), Error);
  EXPECT_THROW(changed({{q + ".lora_down.weight", test::random({2, 32})}, {q + ".lora_up.weight", up}}), Error);
  EXPECT_THROW(changed({{q + ".lora_down.weight", down}, {q + ".lora_up.weight", test::random({32, 2})}}), Error);
  EXPECT_THROW(changed({{q + ".lora_down.weight", down}, {q + ".lora_up.weight", up}, {q + ".alpha", down}}), Error);
  EXPECT_THROW(changed({{q + ".hada_w1_a", down}}), Error);
  EXPECT_THROW(changed({{"something.weight", down}}), Error);
}

}  // namespace
}  // namespace sumi::models
