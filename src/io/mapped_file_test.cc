// Files cut short or written over while mapped (bad-input item 33), and what is not a file (147).
#include "io/mapped_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>

#include "io/safetensors.h"
#include "tests/support/rejected.h"
#include "tests/support/temp_folder.h"

namespace sumi::io {
namespace {

using testing::HasSubstr;

constexpr int64_t kFloats = 1 << 20;

class MappedFileTest : public testing::Test {
 protected:
  MappedFileTest() { catch_truncated_files(); }
  static float last_of(const Tensor& tensor) { return tensor.host<float>()[tensor.numel() - 1]; }

  test::TempFolder folder_;
  std::filesystem::path file_ = folder_ / "model.safetensors";
};

TEST_F(MappedFileTest, Item33CutShortWhileMapped) {
  write_safetensors(file_, {{"w", Tensor::full({kFloats}, 1.0f)}});
  const auto checkpoint = open_safetensors(file_);
  const Tensor tensor = checkpoint->tensor("w");
  check_mappings_intact();
  std::filesystem::resize_file(file_, 8192);
  const HostView<float> values(tensor);
  EXPECT_EQ(std::count(values.end() - 1000, values.end(), 0.0f), 1000);  // reads on, without SIGBUS
  const std::string message = test::rejection(file_, [] { check_mappings_intact(); });
  EXPECT_THAT(message, HasSubstr("cut short"));
  EXPECT_NE(test::rejection(file_, [&] { checkpoint->tensor("w"); }), "");
}

TEST_F(MappedFileTest, Item33OnlyTheTornFileIsAtFault) {
  const auto other = folder_ / "other.safetensors";
  write_safetensors(file_, {{"w", Tensor::full({kFloats}, 1.0f)}});
  write_safetensors(other, {{"w", Tensor::full({kFloats}, 2.0f)}});
  const auto whole = open_safetensors(other);
  {
    const auto torn = open_safetensors(file_);
    const Tensor tensor = torn->tensor("w");
    std::filesystem::resize_file(file_, 4096);
    EXPECT_EQ(last_of(tensor), 0.0f);
    EXPECT_THROW(check_mappings_intact(), Error);
  }
  EXPECT_NO_THROW(check_mappings_intact());  // the torn mapping is gone, and its fault with it
  EXPECT_EQ(last_of(whole->tensor("w")), 2.0f);
}

TEST_F(MappedFileTest, Item33ReplacingAFileDoesNotTearIt) {
  write_safetensors(file_, {{"w", Tensor::full({kFloats}, 1.0f)}});
  const auto old = open_safetensors(file_);
  write_safetensors(file_,
                    {{"w", Tensor::full({4}, 3.0f)}});  // a rename: the old contents live on while they are mapped
  EXPECT_EQ(last_of(old->tensor("w")), 1.0f);
  EXPECT_NO_THROW(check_mappings_intact());
}

// Within a page there is no signal: the rest of the page reads as zeros.
TEST_F(MappedFileTest, CutShortWithinTheLastPage) {
  write_safetensors(file_, {{"w", Tensor::full({kFloats}, 1.0f)}});
  const auto checkpoint = open_safetensors(file_);
  const auto size = std::filesystem::file_size(file_);
  ASSERT_GE(size % 4096, 4u);
  std::filesystem::resize_file(file_, size - 4);
  EXPECT_THAT(test::rejection(file_, [] { check_mappings_intact(); }), HasSubstr("cut short while it was in use"));
  EXPECT_THAT(test::rejection(file_, [&] { checkpoint->tensor("w"); }), HasSubstr("cut short while it was in use"));
}

TEST_F(MappedFileTest, WrittenOverInPlace) {
  using std::filesystem::last_write_time;
  for (const bool longer : {false, true}) {
    write_safetensors(file_, {{"w", Tensor::full({kFloats}, 1.0f)}});
    last_write_time(file_, last_write_time(file_) - std::chrono::hours(1));  // a clock's tick may be long
    const auto checkpoint = open_safetensors(file_);
    EXPECT_NO_THROW(check_mappings_intact());
    {
      std::fstream stream(file_, std::ios::binary | std::ios::in | std::ios::out);
      stream.seekp(longer ? 0 : -4, std::ios::end);
      stream.write("abcd", 4);
      ASSERT_TRUE(stream.flush());
    }
    EXPECT_THAT(test::rejection(file_, [] { check_mappings_intact(); }), HasSubstr("changed while it was in use"));
    EXPECT_THAT(test::rejection(file_, [&] { checkpoint->tensor("w"); }), HasSubstr("changed while it was in use"));
  }
}

TEST_F(MappedFileTest, ReadingIsNoChange) {
  write_safetensors(file_, {{"w", Tensor::full({kFloats}, 1.0f)}});
  std::filesystem::last_write_time(file_, std::filesystem::file_time_type::clock::now() - std::chrono::hours(48));
  const auto checkpoint = open_safetensors(file_);
  std::filesystem::copy_file(file_, folder_ / "copy");  // reads all of it
  EXPECT_EQ(last_of(checkpoint->tensor("w")), 1.0f);
  std::filesystem::permissions(file_, std::filesystem::perms::owner_read);
  std::filesystem::rename(file_, folder_ / "renamed");
  EXPECT_NO_THROW(check_mappings_intact());
}

// A SIGBUS that is not ours ends the process as it always did.
TEST_F(MappedFileTest, OtherBusErrorsStillKill) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  test::write_file(file_, "x");
  EXPECT_DEATH(
      {
        const auto mapped = MappedFile::open(file_);
        ::raise(SIGBUS);
        ::raise(SIGBUS);
      },
      "");
}

TEST_F(MappedFileTest, Item147WhatIsNoFile) {
  ASSERT_EQ(mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(test::rejection(folder_ / "pipe", [&] { MappedFile::open(folder_ / "pipe"); }),
              HasSubstr("pipe, not a file"));
  EXPECT_THAT(test::rejection("/dev/zero", [] { MappedFile::open("/dev/zero"); }), HasSubstr("device, not a file"));
  EXPECT_THAT(test::rejection(folder_.path(), [&] { MappedFile::open(folder_.path()); }),
              HasSubstr("folder, not a file"));
  EXPECT_THAT(test::rejection(folder_ / "absent", [&] { MappedFile::open(folder_ / "absent"); }),
              HasSubstr("cannot be opened"));
  EXPECT_THAT(test::rejection(folder_ / "pipe", [&] { open_checkpoint(folder_ / "pipe"); }), HasSubstr("pipe"));
  EXPECT_THAT(test::rejection(folder_.path(), [&] { open_checkpoint(folder_.path()); }),
              HasSubstr(folder_.path().filename().string()));
}

TEST_F(MappedFileTest, AnEmptyFileIsEmpty) {
  test::write_file(file_, "");
  EXPECT_TRUE(MappedFile::open(file_)->contents().empty());
}

TEST_F(MappedFileTest, ReleasedPagesComeBack) {
  write_safetensors(file_, {{"w", Tensor::full({kFloats}, 1.5f)}});
  const auto mapped = MappedFile::open(file_);
  uint8_t sum = 0;
  for (const uint8_t byte : mapped->contents()) sum ^= byte;
  const int64_t before = test::status_kb("RssFile");
  mapped->release_pages();
  if (before > 0) {
    EXPECT_LT(test::status_kb("RssFile"), before - 3000);  // of 4096 kB
  }
  uint8_t again = 0;
  for (const uint8_t byte : mapped->contents()) again ^= byte;
  EXPECT_EQ(sum, again);
}

TEST_F(MappedFileTest, ManyOpenFilesAreAnErrorAndTheirSlotsComeBack) {
  test::write_file(file_, "abc");
  for (int round = 0; round < 2; ++round) {
    std::vector<std::shared_ptr<MappedFile>> open;
    try {
      for (int i = 0; i < 2000; ++i) open.push_back(MappedFile::open(file_));
      ADD_FAILURE() << "no limit";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUnavailable);
    }
    EXPECT_GE(open.size(), 200u);
  }
}

}  // namespace
}  // namespace sumi::io
