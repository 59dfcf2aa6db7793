#include "app/server/hide_folders.h"

#include <gtest/gtest.h>

namespace sumi::app {
namespace {

TEST(HideFoldersTest, OnlyTheLastPartOfAPathStays) {
  EXPECT_EQ(without_folders("/home/ann/models/x.ckpt: no such file"), "x.ckpt: no such file");
  EXPECT_EQ(without_folders("there is no x.pt in /home/ann/models, /home/ann/my models/loras; choose"),
            "there is no x.pt in models, loras; choose");
  EXPECT_EQ(without_folders("from \"/a/b c/d.png\" to /e/f/ now"), "from \"d.png\" to f now");
  EXPECT_EQ(without_folders("no x.pt in /a/b; choose its folder with `lora_folder`"), "no x.pt in b");
  EXPECT_EQ(without_folders("/one/two /three/four"), "two four");
}

TEST(HideFoldersTest, OtherTextsStay) {
  for (const char* text :
       {"", "/", "a/b of c", "`steps` must be from 1 to 100, not 0", "1 / 2", "data:image/png", " // "})
    EXPECT_EQ(without_folders(text), text);
}

}  // namespace
}  // namespace sumi::app
