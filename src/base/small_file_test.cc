#include "base/small_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/check.h"
#include "tests/support/temp_folder.h"

namespace sumi {
namespace {

using testing::HasSubstr;

std::string refusal(const std::filesystem::path& path, ErrorKind kind, int64_t limit = 10) {
  try {
    read_small_file(path, limit);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  return "no error";
}

TEST(SmallFile, ReadsBytesUpToTheLimit) {
  const test::TempFolder folder;
  test::write_file(folder / "a", std::string("a\0b\r\n", 5));
  EXPECT_EQ(read_small_file(folder / "a", 5), std::string("a\0b\r\n", 5));
  EXPECT_THAT(refusal(folder / "a", ErrorKind::kData, 4), HasSubstr("at most 4"));
  test::write_file(folder / "empty", "");
  EXPECT_EQ(read_small_file(folder / "empty", 0), "");
}

TEST(SmallFile, RefusesWhatIsNoFileWithoutWaiting) {
  const test::TempFolder folder;
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);  // nobody writes to it: a plain open() would wait
  EXPECT_THAT(refusal(folder / "pipe", ErrorKind::kNoInput), HasSubstr("is a pipe, not a regular file"));
  EXPECT_THAT(refusal(folder.path(), ErrorKind::kNoInput), HasSubstr("is a folder"));
  EXPECT_THAT(refusal("/dev/zero", ErrorKind::kNoInput), HasSubstr("is a device"));
  EXPECT_THAT(refusal(folder / "none", ErrorKind::kNoInput), HasSubstr("no such file"));
  std::filesystem::create_symlink("loop", folder / "loop");
  EXPECT_THAT(refusal(folder / "loop", ErrorKind::kNoInput), HasSubstr("cannot be read"));
}

}  // namespace
}  // namespace sumi
