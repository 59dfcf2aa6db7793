#include "api/guard.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <thread>

#include "base/check.h"

namespace sumi::api {
namespace {

TEST(ApiGuard, KindsAreStatusCodes) {
  for (const auto& [kind, status] :
       {std::pair{ErrorKind::kUsage, SUMI_USAGE}, std::pair{ErrorKind::kData, SUMI_DATA},
        std::pair{ErrorKind::kNoInput, SUMI_NO_INPUT}, std::pair{ErrorKind::kUnavailable, SUMI_UNAVAILABLE},
        std::pair{ErrorKind::kInternal, SUMI_INTERNAL}, std::pair{ErrorKind::kCannotCreate, SUMI_CANNOT_CREATE},
        std::pair{ErrorKind::kIo, SUMI_IO}, std::pair{ErrorKind::kCancelled, SUMI_CANCELLED}}) {
    EXPECT_EQ(guarded([kind = kind] { fail(kind, "kind {}", static_cast<int>(kind)); }), status);
    EXPECT_EQ(last_sentence(), "kind " + std::to_string(status));
  }
}

TEST(ApiGuard, EverythingThrownBecomesAStatus) {
  EXPECT_EQ(guarded([] { throw std::bad_alloc(); }), SUMI_UNAVAILABLE);
  EXPECT_STREQ(last_sentence(), "not enough memory");
  EXPECT_EQ(guarded([] { throw std::runtime_error("first\nsecond \x1B[31m"); }), SUMI_INTERNAL);
  EXPECT_STREQ(last_sentence(), "first second [31m");
  EXPECT_EQ(guarded([] { nlohmann::json("text").get<int>(); }), SUMI_INTERNAL);
  EXPECT_EQ(std::string(last_sentence()).find('\n'), std::string::npos);
  EXPECT_EQ(guarded([] { throw 42; }), SUMI_INTERNAL);
  EXPECT_STREQ(last_sentence(), "an exception that is not of the standard library");
}

TEST(ApiGuard, ASentenceStaysUntilTheNextFailure) {
  remember(ErrorKind::kData, "one");
  EXPECT_EQ(guarded([] {}), SUMI_OK);
  EXPECT_STREQ(last_sentence(), "one");
}

TEST(ApiGuard, ASentenceIsItsThreadsOwn) {
  remember(ErrorKind::kData, "mine");
  std::string before = "not asked", after;
  std::thread([&] {
    before = last_sentence();
    remember(ErrorKind::kIo, "theirs");
    after = last_sentence();
  }).join();
  EXPECT_EQ(before, "");
  EXPECT_EQ(after, "theirs");
  EXPECT_STREQ(last_sentence(), "mine");
}

}  // namespace
}  // namespace sumi::api
