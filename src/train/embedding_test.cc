// Textual inversion: captions as they are trained.
#include <gtest/gtest.h>

#include "tests/support/made_up_tokenizer.h"
#include "train/ldm_trainer.h"

namespace sumi::train {
namespace {

TEST(CaptionWithWord, HasTheWholeWordWhereItIsRead) {
  const test::TempFolder folder;
  test::write_made_up_tokenizer(folder.path());
  models::ModelConfig config;
  config.text.vocab_size = 523;
  config.text.max_positions = 8;  // six ids and the two marks
  const EmbeddingToTrain embedding{.word = "my-cat", .vectors = Tensor::zeros({2, 4})};
  const text::ClipTokenizer tokenizer = with_embedding(text::ClipTokenizer::load(folder.path()), embedding, config);
  const auto trained = [&](const std::string& caption) {
    return caption_with_word(tokenizer, embedding, config, caption);
  };
  EXPECT_EQ(trained(""), "a photo of my-cat");
  EXPECT_EQ(trained("a cat"), "my-cat, a cat");
  EXPECT_EQ(trained("cat cat cat cat My-Cat"), "cat cat cat cat My-Cat");
  // Cut before the word, and within it.
  EXPECT_EQ(trained("cat cat cat cat cat cat my-cat"), "my-cat, cat cat cat cat cat cat my-cat");
  EXPECT_EQ(trained("cat cat cat cat cat my-cat"), "my-cat, cat cat cat cat cat my-cat");
}

}  // namespace
}  // namespace sumi::train
