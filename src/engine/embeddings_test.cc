#include "engine/embeddings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "tests/support/cpu_seconds.h"
#include "tests/support/relative_l2.h"
#include "tests/support/tiny_engine.h"

namespace sumi::engine {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Embeddings : public testing::Test {
 protected:
  Embeddings() {
    config_.text.hidden_size = 64;
    config_.text.vocab_size = 1000;
    write("embeddings/my_cat.safetensors", "emb_params", {3, 64});
    write("embeddings/learned.safetensors", "<toy>", {64});
    write("beside.safetensors", "emb_params", {2, 64});
    write("embeddings/wide.safetensors", "emb_params", {2, 768});
    test::write_file(folder_ / "embeddings/notes.pt", "no checkpoint");
  }

  void write(const std::string& name, const std::string& tensor, const Shape& shape) {
    fs::create_directories((folder_ / name).parent_path());
    io::write_safetensors(folder_ / name, {{tensor, test::random(shape)}});
  }
  JobEmbeddings find(const std::vector<std::string>& texts, EmbeddingPlaces places = {}) {
    if (places.model.empty()) places.model = folder_ / "model.safetensors";
    return find_embeddings(places, config_, texts);
  }
  // Words of the text as BEGIN+IDS.
  static std::string shown(const JobEmbeddings& found, std::string_view text) {
    std::string all;
    for (auto at = found.words.find(text, 0); at.word != nullptr; at = found.words.find(text, at.end))
      all += std::to_string(at.word->first) + "+" + std::to_string(at.word->count) + " ";
    return all;
  }
  template <class Work> static std::string error_of(ErrorKind kind, const Work& work) {
    try {
      work();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind);
      return error.what();
    }
    return "nothing was thrown";
  }

  test::TempFolder folder_;
  models::ModelConfig config_;
};

TEST_F(Embeddings, AreFoundByEachOfTheirNames) {
  for (const char* text : {"a My_Cat, sitting", "a <my_cat>", "a (embedding:my_cat:1.2)", "x embedding:my_cat"}) {
    const JobEmbeddings found = find({text});
    EXPECT_EQ(shown(found, text), "1000+3 ") << text;
    EXPECT_EQ(found.files.size(), 1u);
    EXPECT_EQ(found.vectors.shape(), (Shape{3, 64}));
  }
  // The word that the file itself gives.
  EXPECT_EQ(shown(find({"a <toy>"}), "a <toy>"), "1000+1 ");
  EXPECT_TRUE(find({"a toy, my_cats and a cat"}).words.empty());
  const JobEmbeddings both = find({"my_cat with <toy>", "<toy>"});
  EXPECT_EQ(both.vectors.shape(), (Shape{4, 64}));
  EXPECT_EQ(shown(both, "my_cat with <toy>"), "1001+3 1000+1 ");  // in the order of the files' names
}

// A folder that has models too: their names are no words of a prompt.
TEST_F(Embeddings, BesideTheModelOnlyByTheirFullNames) {
  EXPECT_TRUE(find({"a house beside the sea"}).words.empty());
  EXPECT_EQ(shown(find({"embedding:beside"}), "embedding:beside"), "1000+2 ");
}

TEST_F(Embeddings, GivenFilesWhereverTheyLie) {
  const std::string file = (folder_ / "beside.safetensors").string();
  EXPECT_EQ(shown(find({"beside"}, {.files = {file}, .search = false}), "beside"), "1000+2 ");
  CollectWarnings warnings;
  find({"nothing of it"}, {.files = {file}, .search = false});
  ASSERT_EQ(warnings.messages().size(), 1u);
  EXPECT_THAT(warnings.messages()[0], HasSubstr("no prompt names this embedding"));
}

TEST_F(Embeddings, WhatIsMissingOrDoesNotFitIsRefused) {
  EXPECT_THAT(error_of(ErrorKind::kNoInput, [&] { find({"a embedding:gone, b"}); }), HasSubstr("no gone.safetensors"));
  for (const char* text : {"<wide>", "embedding:wide", "wide and <Wide>"})
    EXPECT_THAT(error_of(ErrorKind::kData, [&] { find({text}); }), HasSubstr("768 wide")) << text;
  EXPECT_THAT(
      error_of(ErrorKind::kData,
               [&] { find({"x"}, {.files = {(folder_ / "embeddings/wide.safetensors").string()}, .search = false}); }),
      HasSubstr("768 wide"));
  EXPECT_THAT(error_of(ErrorKind::kNoInput, [&] { find({"x"}, {.chosen = folder_ / "none"}); }),
              HasSubstr("no folder"));
  io::write_safetensors(folder_ / "lora.safetensors", {{"lora_unet_x.lora_down.weight", test::random({2, 64})}});
  EXPECT_THAT(error_of(ErrorKind::kData,
                       [&] { find({"x"}, {.files = {(folder_ / "lora.safetensors").string()}, .search = false}); }),
              HasSubstr("no embedding"));
}

// A word of a prompt that a file is called by chance is still a word.
TEST_F(Embeddings, ABareWordDoesNotNeedItsFile) {
  test::write_file(folder_ / "embeddings/cat.pt", "damaged");
  CollectWarnings warnings;
  const JobEmbeddings found = find({"a wide cat, my_cat"});
  EXPECT_EQ(shown(found, "a wide cat, my_cat"), "1000+3 ");
  ASSERT_EQ(warnings.messages().size(), 2u);
  EXPECT_THAT(warnings.messages()[0], HasSubstr("cat.pt"));
  EXPECT_THAT(warnings.messages()[1], HasSubstr("768 wide"));
}

TEST_F(Embeddings, TwoGivenFilesOfOneNameAreRefused) {
  write("a/cat.safetensors", "emb_params", {1, 64});
  write("b/Cat.safetensors", "emb_params", {1, 64});
  write("a/one.safetensors", "<toy>", {64});
  write("b/two.safetensors", "<toy>", {64});
  const auto given = [&](const std::string& one, const std::string& two) {
    return error_of(ErrorKind::kUsage, [&] {
      find({"cat <toy>"}, {.files = {(folder_ / one).string(), (folder_ / two).string()}, .search = false});
    });
  };
  const std::string cats = given("a/cat.safetensors", "b/Cat.safetensors");
  EXPECT_THAT(cats, HasSubstr("a/cat.safetensors and "));
  EXPECT_THAT(cats, HasSubstr("b/Cat.safetensors: both are called"));
  EXPECT_THAT(given("a/one.safetensors", "b/two.safetensors"), HasSubstr("both are called \"<toy>\""));
  CollectWarnings warnings;
  EXPECT_EQ(given("a/cat.safetensors", "a/cat.safetensors"), "nothing was thrown");
  ASSERT_EQ(warnings.messages().size(), 1u);
  EXPECT_THAT(warnings.messages()[0], HasSubstr("twice"));
}

TEST_F(Embeddings, WhyAFileIsNotReadIsTold) {
  write("embeddings/large.safetensors", "emb_params", {1, 64});
  fs::resize_file(folder_ / "embeddings/large.safetensors", (uintmax_t{64} << 20) + 1);  // sparse
  EXPECT_THAT(error_of(ErrorKind::kNoInput, [&] { find({"embedding:large"}); }), HasSubstr("has 67108865 bytes"));
  io::write_safetensors(folder_ / "embeddings/pair.safetensors",
                        {{"<one>", test::random({64})}, {"<two>", test::random({64})}});
  EXPECT_THAT(error_of(ErrorKind::kNoInput, [&] { find({"embedding:pair"}); }), HasSubstr("holds several embeddings"));
}

// Each text is read once, however many files there are.
TEST_F(Embeddings, ManyFilesTakeNoTime) {
  for (int i = 0; i < 1500; ++i) test::write_file(folder_ / fmt::format("many/word{}.pt", i), "x");
  std::string text;
  while (text.size() < 60'000) text += "wo rd ";
  const double begin = test::cpu_seconds();
  EXPECT_TRUE(find(std::vector<std::string>(20, text), {.chosen = folder_ / "many"}).words.empty());
  EXPECT_LT(test::cpu_seconds() - begin, 1.0);
}

// A job with an embedding draws another picture and leaves the next job's as it was.
TEST_F(Embeddings, ActOnTheirJobAlone) {
  tools::write_byte_vocabulary(folder_.path());
  sumi::Engine engine({.threads = 2});
  const Model model = engine.open(test::tiny_options(folder_.path()));
  const Request plain{.prompts = {"a my_cat"}, .width = 64, .height = 64, .steps = 2, .seed = 7};
  Request with = plain;
  with.embeddings = {(folder_ / "embeddings/my_cat.safetensors").string()};
  const Image before = test::draw(model, plain).at(0).image;
  const Image changed = test::draw(model, with).at(0).image;
  EXPECT_NE(changed, before);
  EXPECT_EQ(test::draw(model, plain).at(0).image, before);
  Request folder = plain;
  folder.embedding_folder = (folder_ / "embeddings").string();
  EXPECT_EQ(test::draw(model, folder).at(0).image, changed);
  Job job = model.prepare(folder);
  EXPECT_EQ(job.settings().embeddings.size(), 1u);
  // In the negative prompt too, and in the exact syntax where it is given.
  Request negative = with;
  negative.prompts = {"a"};
  negative.negative_prompt = "my_cat";
  Request without = negative;
  without.embeddings.clear();
  EXPECT_NE(test::draw(model, negative).at(0).image, test::draw(model, without).at(0).image);
  Request exact = with, exact_without = plain;
  exact.syntax = exact_without.syntax = "exact";
  EXPECT_NE(test::draw(model, exact).at(0).image, test::draw(model, exact_without).at(0).image);
}

}  // namespace
}  // namespace sumi::engine
