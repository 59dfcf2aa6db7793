#include "text/find_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "tests/support/made_up_tokenizer.h"

namespace sumi::text {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class FindTokenizerTest : public testing::Test {
 protected:
  fs::path find(const fs::path& model) const { return find_tokenizer(std::nullopt, model, places_); }

  test::TempFolder folder_;
  const Places places_{.data_folder = folder_ / "data", .hub_cache = folder_ / "hub"};
};

TEST_F(FindTokenizerTest, NearerPlacesComeFirst) {
  const fs::path model = folder_ / "models/sd.safetensors";
  test::write_file(model, "x");
  const fs::path snapshots = folder_ / "hub/models--openai--clip-vit-large-patch14/snapshots";
  // From the last place to the first: each new one is preferred to those before it.
  for (const fs::path& place : {snapshots / "b", snapshots / "a", folder_ / "data/tokenizer",
                                folder_ / "models/tokenizer", folder_ / "models"}) {
    test::write_made_up_tokenizer(place);
    EXPECT_EQ(find(model), place);
  }
  EXPECT_EQ(find(folder_ / "models"), folder_ / "models");
  EXPECT_EQ(find(""), folder_ / "data/tokenizer");
  EXPECT_EQ(find_tokenizer(std::nullopt, "", {.data_folder = {}, .hub_cache = folder_ / "hub"}), snapshots / "a");
  EXPECT_EQ(find_tokenizer(snapshots / "b", model, places_), snapshots / "b");
}

TEST_F(FindTokenizerTest, SaysWhereItLookedAndWhatToDo) {
  try {
    find(folder_ / "models/sd.safetensors");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNoInput);
    for (const char* part : {"models, ", "models/tokenizer", "data/tokenizer",
                             "hub/models--openai--clip-vit-large-patch14", "with `tokenizer`"}) {
      EXPECT_THAT(error.what(), HasSubstr(part));
    }
  }
  // A folder that was named is not skipped for another.
  test::write_made_up_tokenizer(folder_ / "data/tokenizer");
  EXPECT_THROW(find_tokenizer(folder_ / "empty", "", places_), Error);
}

TEST_F(FindTokenizerTest, WithoutPlacesThereIsOnlyTheModelsFolder) {
  try {
    find_tokenizer(std::nullopt, "", {});
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNoInput);
    EXPECT_THAT(error.what(), HasSubstr("in any known place"));
  }
  test::write_made_up_tokenizer(folder_ / "models/tokenizer");
  EXPECT_EQ(find_tokenizer(std::nullopt, folder_ / "models", {}), folder_ / "models/tokenizer");
}

TEST_F(FindTokenizerTest, HalfATokenizerIsRefused) {  // bad-input item 101
  test::write_made_up_tokenizer(folder_ / "data/tokenizer");
  test::write_file(folder_ / "models/tokenizer/vocab.json", "{}");
  try {
    find(folder_ / "models/sd.safetensors");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_THAT(error.what(), HasSubstr("vocab.json but no merges.txt"));
  }
}

}  // namespace
}  // namespace sumi::text
