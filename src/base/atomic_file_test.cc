#include "base/atomic_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "base/check.h"
#include "tests/support/temp_folder.h"

namespace sumi {
namespace {

namespace fs = std::filesystem;

std::string content(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

int64_t entries(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

TEST(AtomicFileTest, IsThereWholeOrNotAtAll) {
  const test::TempFolder folder;
  test::write_file(folder / "a", "old");
  {
    AtomicFile file(folder / "a");
    file.write("new");
  }
  EXPECT_EQ(content(folder / "a"), "old");
  EXPECT_EQ(entries(folder.path()), 1);
  AtomicFile file(folder / "a");
  file.write("new");
  file.commit();
  EXPECT_EQ(content(folder / "a"), "new");
  EXPECT_EQ(entries(folder.path()), 1);
}

// Every way that a file system may need, tested on this one.
class NewFile : public testing::TestWithParam<AtomicFile::Take> {};
INSTANTIATE_TEST_SUITE_P(Ways, NewFile,
                         testing::Values(AtomicFile::Take::kRename, AtomicFile::Take::kLink, AtomicFile::Take::kLook));

TEST_P(NewFile, TakesAFreeName) {
  const test::TempFolder folder;
  AtomicFile file(folder / "a");
  file.write("new");
  EXPECT_TRUE(file.commit_new(GetParam()));
  EXPECT_EQ(content(folder / "a"), "new");
  EXPECT_EQ(entries(folder.path()), 1);
}

TEST_P(NewFile, ReplacesNothing) {
  const test::TempFolder folder;
  test::write_file(folder / "file", "old");
  fs::create_symlink("nowhere", folder / "link");
  for (const char* name : {"file", "link"}) {
    AtomicFile file(folder / name);
    file.write("new");
    EXPECT_FALSE(file.commit_new(GetParam())) << name;
  }
  EXPECT_EQ(content(folder / "file"), "old");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(entries(folder.path()), 2) << "no temporary file is left";
}

// A commit that only checks first may lose the race.
TEST(AtomicFileTest, ReplacesNoPipe) {
  const test::TempFolder folder;
  const auto pipe = folder / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0666), 0);
  EXPECT_THROW(AtomicFile{pipe}, Error);
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
}

TEST(AtomicFileTest, HasTheModeOfAnyNewFile) {
  const test::TempFolder folder;
  const mode_t before = umask(027);
  AtomicFile file(folder / "a");
  file.commit();
  EXPECT_EQ(umask(before), 027u);
  struct stat status {};
  ASSERT_EQ(stat((folder / "a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
}

TEST(AtomicFileTest, OfManyAtOnceOneGetsTheName) {
  for (const AtomicFile::Take take : {AtomicFile::Take::kRename, AtomicFile::Take::kLink}) {
    const test::TempFolder folder;
    std::atomic<int> got{0};
    std::vector<std::thread> writers(8);
    for (std::thread& writer : writers) {
      writer = std::thread([&] {
        for (int name = 0; name < 20; ++name) {
          AtomicFile file(folder / std::to_string(name));
          file.write("new");
          if (file.commit_new(take)) ++got;
        }
      });
    }
    for (std::thread& writer : writers) writer.join();
    EXPECT_EQ(got, 20);
    EXPECT_EQ(entries(folder.path()), 20);
  }
}

// Runs `body` in a child process, which it must end.
template <class Body> void in_child(const Body& body) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    body();
    _exit(0);
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
}

TEST(AtomicFileTest, WhatAKilledProcessLeftIsSweptByTheNext) {
  const test::TempFolder folder;
  in_child([&] {
    AtomicFile file(folder / "a");
    file.write("half");
    kill(getpid(), SIGKILL);
  });
  ASSERT_EQ(entries(folder.path()), 1) << "the temporary file that the killed process could not remove";
  AtomicFile file(folder / "b");
  EXPECT_EQ(entries(folder.path()), 1) << "the new one alone";
  file.commit();
  EXPECT_EQ(entries(folder.path()), 1);
  EXPECT_TRUE(fs::exists(folder / "b"));
}

TEST(AtomicFileTest, FilesOfTheLivingAndOfOthersAreNotSwept) {
  const test::TempFolder folder;
  AtomicFile file(folder / "a");
  for (const char* name : {".vimrc.backup", "a.aB3dEf.sumi-tmp", ".aB3dEf.sumi-tmp", ".a.aB3d-f.sumi-tmp", ".sumi-tmp"})
    test::write_file(folder / name, "of somebody else");
  fs::create_directory(folder / ".b.aB3dEf.sumi-tmp");
  in_child([&] { sweep_temporary_files(folder.path()); });
  EXPECT_EQ(entries(folder.path()), 7);
  EXPECT_TRUE(file.commit_new());
  EXPECT_TRUE(fs::exists(folder / "a"));
}

TEST(AtomicFileTest, AProcessThatASignalEndsRemovesItsOwn) {
  const test::TempFolder folder;
  in_child([&] {
    AtomicFile first(folder / "a"), second(folder / "b");
    first.write("half");
    remove_temporary_files();
    _exit(0);
  });
  EXPECT_EQ(entries(folder.path()), 0);
}

TEST(AtomicFileTest, ALimitOnFilesIsAnErrorWhereTheProgramIgnoresItsSignal) {
  const test::TempFolder folder;
  in_child([&] {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    setrlimit(RLIMIT_FSIZE, &limit);
    try {
      AtomicFile file(folder / "a");
      file.write(std::string(2000, 'x'));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kIo) fs::create_directory(folder / "told");
    }
  });
  EXPECT_TRUE(fs::exists(folder / "told"));
  EXPECT_EQ(entries(folder.path()), 1);
}

TEST(AtomicFileTest, ALoopOfLinksIsRefusedAndALongNameIsNot) {
  const test::TempFolder folder;
  fs::create_symlink("loop", folder / "loop");
  EXPECT_THROW(AtomicFile(folder / "loop"), Error);
  EXPECT_THROW(AtomicFile(folder / "loop" / "a"), Error);
  EXPECT_THROW(AtomicFile(folder / std::string(300, 'n')), Error);
  EXPECT_THROW(AtomicFile(folder.path() / ""), Error);
  EXPECT_THROW(AtomicFile(fs::path()), Error);
  EXPECT_TRUE(fs::is_symlink(folder / "loop"));
  AtomicFile file(folder / std::string(255, 'n'));
  file.commit();
  EXPECT_TRUE(fs::exists(folder / std::string(255, 'n')));
}

}  // namespace
}  // namespace sumi
