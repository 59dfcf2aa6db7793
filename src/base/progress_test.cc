#include "base/progress.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <array>

namespace sumi {
namespace {

TEST(Progress, DurationsReadAsClocks) {
  EXPECT_EQ(format_duration(6.7), "0:07");
  EXPECT_EQ(format_duration(754), "12:34");
  EXPECT_EQ(format_duration(3723), "1:02:03");
  EXPECT_EQ(format_duration(-1), "0:00");
}

TEST(Progress, SaysStepSecondsAStepAndTimeLeft) {
  const ProgressOptions options{.label = "sampling", .total = 50};
  EXPECT_EQ(describe_progress(options, 0, 0.0), "sampling 0/50");
  EXPECT_EQ(describe_progress(options, 10, 32.0), "sampling 10/50, 3.20 s/step, 2:08 left");
  EXPECT_EQ(describe_progress(options, 50, 160.0), "sampling 50/50, 3.20 s/step, took 2:40");
}

TEST(Progress, WhatWasDoneBeforeCountsForNoSpeed) {
  const ProgressOptions options{.label = "training", .total = 50, .before = 30};
  EXPECT_EQ(describe_progress(options, 30, 0.1), "training 30/50");
  EXPECT_EQ(describe_progress(options, 40, 32.0), "training 40/50, 3.20 s/step, 0:32 left");
}

TEST(Progress, CountsBytes) {
  const ProgressOptions options{.label = "model", .total = 45'600'000, .bytes = true};
  EXPECT_EQ(describe_progress(options, 12'300'000, 3.0), "model 12.3/45.6 MB, 4.1 MB/s, 0:08 left");
}

TEST(Progress, AFileGetsNoBar) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  {
    Progress progress({.label = "sampling", .total = 3, .out = file});
    for (int i = 0; i < 3; ++i) progress.step();
  }
  EXPECT_EQ(std::ftell(file), 0);
  std::fclose(file);
}

// What is drawn on a terminal for three steps.
std::string drawn_on_terminal(bool quiet) {
  int master = -1;
  int slave = -1;
  if (openpty(&master, &slave, nullptr, nullptr, nullptr) != 0) return "no terminal";
  std::FILE* out = fdopen(slave, "w");
  {
    Progress progress({.label = "sampling", .total = 3, .quiet = quiet, .out = out});
    for (int i = 0; i < 3; ++i) progress.step();
  }
  std::fputs("end", out);
  std::fflush(out);
  std::string text;
  std::array<char, 512> part;
  while (!text.ends_with("end")) {
    const ssize_t length = read(master, part.data(), part.size());
    if (length <= 0) break;
    text.append(part.data(), static_cast<size_t>(length));
  }
  std::fclose(out);
  close(master);
  return text;
}

TEST(Progress, ATerminalGetsABarThatEndsItsLine) {
  const std::string text = drawn_on_terminal(false);
  EXPECT_NE(text.find("\r[                        ] sampling 0/3"), std::string::npos) << text;
  EXPECT_NE(text.find("[========================] sampling 3/3"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("\nend")) << text;
}

TEST(Progress, QuietDrawsNothing) { EXPECT_EQ(drawn_on_terminal(true), "end"); }

}  // namespace
}  // namespace sumi
