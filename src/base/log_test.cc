#include "base/log.h"

#include <gtest/gtest.h>

namespace sumi {
namespace {

TEST(Log, PrintsOneCleanLineOnStandardError) {
  testing::internal::CaptureStderr();
  warn("{} is\nodd \x1b[31m", 3);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "warning: 3 is odd [31m\n");
}

TEST(Log, CollectsWithinAScopeAndNoLonger) {
  testing::internal::CaptureStderr();
  {
    CollectWarnings outer;
    {
      CollectWarnings inner;
      warn("one");
      EXPECT_EQ(inner.messages(), std::vector<std::string>{"one"});
    }
    warn("two");
    EXPECT_EQ(outer.messages(), std::vector<std::string>{"two"});
  }
  warn("three");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "warning: three\n");
}

TEST(Log, WhatASinkWarnsOfGoesToTheScopeOutside) {
  const CollectWarnings outside;
  {
    const WarningScope scope([](const std::string& message) { warn("passed on: {}", message); });
    warn("one");
    warn("two");
  }
  EXPECT_EQ(outside.messages(), (std::vector<std::string>{"passed on: one", "passed on: two"}));
}

}  // namespace
}  // namespace sumi
