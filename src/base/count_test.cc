#include "base/count.h"

#include <gtest/gtest.h>

#include <thread>

namespace sumi {
namespace {

TEST(Count, WhatHappensInAScope) {
  count("grid");  // before the scope
  CountScope counts;
  EXPECT_EQ(counts["grid"], 0);
  count("grid");
  count("prompt");
  count("grid");
  EXPECT_EQ(counts["grid"], 2);
  EXPECT_EQ(counts["prompt"], 1);
  EXPECT_EQ(counts["gri"], 0);
}

TEST(Count, TheInnermostScopeAlone) {
  CountScope outer;
  count("grid");
  {
    CountScope inner;
    count("grid");
    count("grid");
    EXPECT_EQ(inner["grid"], 2);
  }
  EXPECT_EQ(outer["grid"], 1);
  count("grid");
  EXPECT_EQ(outer["grid"], 2);
}

TEST(Count, ItsOwnThreadAlone) {
  CountScope counts;
  std::thread([] {
    count("grid");
    CountScope its_own;
    count("grid");
    EXPECT_EQ(its_own["grid"], 1);
  }).join();
  EXPECT_EQ(counts["grid"], 0);
}

}  // namespace
}  // namespace sumi
