#include "app/places.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"

namespace sumi::app {
namespace {

class PlacesTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : kNames) {
      const char* value = std::getenv(name);
      saved_.emplace_back(name, value ? std::optional<std::string>(value) : std::nullopt);
      unsetenv(name);
    }
  }
  void TearDown() override {
    for (const auto& [name, value] : saved_) value ? setenv(name.c_str(), value->c_str(), 1) : unsetenv(name.c_str());
  }

  static constexpr const char* kNames[] = {"HOME", "SUMI_HOME", "XDG_DATA_HOME", "HF_HUB_CACHE", "HF_HOME"};
  std::vector<std::pair<std::string, std::optional<std::string>>> saved_;
};

TEST_F(PlacesTest, TheDataFolderFollowsTheEnvironment) {
  EXPECT_EQ(find_places().data_folder, "");
  EXPECT_THROW(data_folder(), Error);
  setenv("HOME", "/h", 1);
  EXPECT_EQ(data_folder(), "/h/.local/share/sumi");
  setenv("XDG_DATA_HOME", "/x", 1);
  EXPECT_EQ(data_folder(), "/x/sumi");
  setenv("SUMI_HOME", "/s", 1);
  EXPECT_EQ(data_folder(), "/s");
  EXPECT_EQ(find_places().data_folder, "/s");
  setenv("SUMI_HOME", "", 1);  // as unset
  EXPECT_EQ(data_folder(), "/x/sumi");
}

TEST_F(PlacesTest, TheHubCacheFollowsTheEnvironment) {
  EXPECT_EQ(find_places().hub_cache, "");
  setenv("HOME", "/h", 1);
  EXPECT_EQ(find_places().hub_cache, "/h/.cache/huggingface/hub");
  setenv("HF_HOME", "/f", 1);
  EXPECT_EQ(find_places().hub_cache, "/f/hub");
  setenv("HF_HUB_CACHE", "/c", 1);
  EXPECT_EQ(find_places().hub_cache, "/c");
  setenv("HF_HUB_CACHE", "", 1);
  EXPECT_EQ(find_places().hub_cache, "/f/hub");
}

}  // namespace
}  // namespace sumi::app
