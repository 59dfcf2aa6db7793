// Textual inversion files of every kind, as their programs write them, against the numbers of CLIP's text transformer.
#include <gtest/gtest.h>

#include <filesystem>

#include "io/checkpoint.h"
#include "models/embedding_file.h"
#include "models/stable_diffusion.h"
#include "tests/support/relative_l2.h"
#include "tools/synthetic.h"

namespace sumi {
namespace {

namespace fs = std::filesystem;

struct Case {
  std::string file, vectors, word;  // word: as the file gives it
};

class EmbeddingsGolden : public testing::TestWithParam<Case> {};

TEST_P(EmbeddingsGolden, EqualTheOriginal) {
  const Case& c = GetParam();
  const fs::path data = SUMI_TEST_DATA;
  const auto golden = io::open_checkpoint(data / "tiny_embeddings.safetensors");
  const auto file = io::open_checkpoint(data / "embeddings" / c.file);
  ASSERT_TRUE(models::is_embedding_file(*file));
  const auto embeddings = models::read_embeddings(*file, 64);
  ASSERT_EQ(embeddings.size(), 1u);
  EXPECT_EQ(embeddings[0].word, c.word);
  const Tensor want = golden->tensor(c.vectors + ".vectors");
  ASSERT_EQ(embeddings[0].vectors.shape(), want.shape());
  EXPECT_EQ(test::relative_l2(embeddings[0].vectors, want), 0.0);

  const fs::path weights = fs::path(SUMI_TEST_MODELS) / "tiny_f32_modules.safetensors";
  fs::create_directories(weights.parent_path());
  if (!fs::exists(weights)) tools::write_synthetic(weights, {.size = "tiny", .dtype = DType::kF32});
  std::shared_ptr<const io::Checkpoint> checkpoint = io::open_checkpoint(weights);
  const auto model = models::StableDiffusion::load(
      checkpoint, models::config_for(*checkpoint, data.string() + "/tiny.yaml"), {.unet = false, .autoencoder = false});
  const Tensor ids = golden->tensor(c.vectors + ".text_ids"), hidden = golden->tensor(c.vectors + ".text_hidden");
  const Tensor got = model.encode_text(ids, {.added = {embeddings[0].vectors}}).hidden;
  EXPECT_LE(test::relative_l2(got, hidden), 1e-4);
  EXPECT_THROW(model.encode_text(ids), Error) << "ids beyond the table without the file's rows";
  EXPECT_THROW(models::read_embeddings(*file, 768), Error) << "another width";
}

INSTANTIATE_TEST_SUITE_P(Files, EmbeddingsGolden,
                         testing::Values(Case{"a1111.pt", "a1111", ""}, Case{"a1111_legacy.pt", "a1111_legacy", ""},
                                         Case{"original.pt", "original", ""},
                                         Case{"emb_params.safetensors", "emb_params", ""},
                                         Case{"learned_embeds.safetensors", "learned_embeds", "<sumi-toy>"},
                                         Case{"learned_embeds.bin", "learned_embeds_bin", "<sumi-style>"}),
                         [](const auto& one) { return one.param.vectors; });

}  // namespace
}  // namespace sumi
