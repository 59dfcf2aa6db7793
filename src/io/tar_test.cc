#include "io/tar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/check.h"
#include "tests/support/tar_file.h"
#include "tests/support/temp_folder.h"

namespace sumi::io {
namespace {

using test::tar_end;
using test::tar_entry;
using testing::HasSubstr;

class Tar : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& bytes) const {
    const auto path = folder_ / "a.tar";
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  std::string refusal(const std::string& bytes) const {
    try {
      list_tar(write(bytes));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData);
      return error.what();
    }
    return "it was read";
  }
  test::TempFolder folder_;
};

TEST_F(Tar, ListsFilesWithWhereTheyAre) {
  const std::string bytes = tar_entry("folder/", "", '5') + tar_entry("folder/a.txt", "an apple") +
                            tar_entry("b.png", std::string(600, 'x')) + tar_entry("link", "", '2') + tar_end();
  const auto entries = list_tar(write(bytes));
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].name, "folder/a.txt");
  EXPECT_EQ(bytes.substr(entries[0].offset, entries[0].size), "an apple");
  EXPECT_EQ(entries[1].name, "b.png");
  EXPECT_EQ(entries[1].size, 600u);
  EXPECT_TRUE(list_tar(write(tar_end())).empty());
  EXPECT_EQ(list_tar(write(tar_entry("without-end", "1"))).size(), 1u);
}

TEST_F(Tar, ReadsLongNamesAndSizesOfBothKinds) {
  const std::string name(150, 'n');
  const std::string record = " path=" + name + "p\n";
  const std::string bytes = tar_entry("././@LongLink", name + '\0', 'L') + tar_entry("short", "gnu") +
                            tar_entry("pax", std::to_string(record.size() + 3) + record + "9 size=3\n", 'x') +
                            tar_entry("short", "pax") + tar_entry("short", "own") + tar_end();
  const auto entries = list_tar(write(bytes));
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].name, name);
  EXPECT_EQ(entries[1].name, name + "p");
  EXPECT_EQ(bytes.substr(entries[1].offset, entries[1].size), "pax");
  EXPECT_EQ(entries[2].name, "short");
}

TEST_F(Tar, RefusesWhatIsBroken) {
  const std::string good = tar_entry("a", std::string(700, 'a')) + tar_entry("b", "b") + tar_end();
  EXPECT_THAT(refusal("\x1F\x8B" + std::string(600, '\x55')), HasSubstr("compressed"));
  EXPECT_THAT(refusal("too short"), HasSubstr("cut short"));
  EXPECT_THAT(refusal(good.substr(0, 900)), HasSubstr("cut short"));
  std::string bad = good;
  bad[1536] = 'c';  // the second name: the sum is wrong
  EXPECT_THAT(refusal(bad), HasSubstr("no tar header at byte 1536"));
  EXPECT_THAT(refusal(tar_entry("pax", "999 path=x\n", 'x')), HasSubstr("broken pax header"));
  EXPECT_THAT(refusal(tar_entry("pax", "1 x\n", 'x')), HasSubstr("broken pax header"));
  EXPECT_THROW(list_tar(folder_ / "none.tar"), Error);
}

}  // namespace
}  // namespace sumi::io
