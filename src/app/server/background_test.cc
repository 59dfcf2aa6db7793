#include "app/server/background.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "base/check.h"

namespace sumi::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Holds the thread until it is let go.
class Held {
 public:
  explicit Held(Background& background) {
    EXPECT_TRUE(background.run([this] {
      began_.set_value();
      go_.get_future().wait();
    }));
    began_.get_future().wait();
  }
  void let_go() { go_.set_value(); }

 private:
  std::promise<void> began_, go_;
};

class Exchange : public HttpExchange {
 public:
  const HttpRequest& request() const override { return request_; }
  void reply(HttpReply reply) override { given.set_value(std::move(reply)); }
  void begin(HttpReply) override {}
  void write(std::string) override {}
  void end() override {}
  size_t waiting() const override { return 0; }
  void on_gone(std::function<void()> call) override { gone = std::move(call); }
  std::promise<HttpReply> given;
  std::function<void()> gone;

 private:
  HttpRequest request_;
};

TEST(Background, RunsInOrderAndHasABound) {
  Background background(2);
  Held held(background);
  std::vector<int> done;
  std::promise<void> last;
  EXPECT_TRUE(background.run([&] { done.push_back(1); }));
  EXPECT_TRUE(background.run([&] {
    done.push_back(2);
    last.set_value();
  }));
  EXPECT_FALSE(background.run([&] { done.push_back(3); }));
  held.let_go();
  last.get_future().wait();
  EXPECT_THAT(done, ElementsAre(1, 2));
}

TEST(Background, DropsWhatWaitsAtItsEnd) {
  bool ran = false;
  const auto dropped = std::make_shared<int>(0);
  auto owner = std::make_unique<Background>(size_t{1} << 30);
  Background& background = *owner;
  Held held(background);
  EXPECT_TRUE(background.run([&ran, dropped] { ran = true; }));
  std::thread ending([&] { owner.reset(); });               // waits for the call that is held
  while (background.run([] {})) std::this_thread::yield();  // until it takes no more
  held.let_go();
  ending.join();
  EXPECT_FALSE(ran);
  EXPECT_EQ(dropped.use_count(), 1);
}

TEST(Background, AnswersAndRefuses) {
  Background background;
  const auto ask = [&](std::function<HttpReply()> make) {
    const auto exchange = std::make_shared<Exchange>();
    answer_later(background, exchange, std::move(make));
    return exchange->given.get_future().get();
  };
  EXPECT_EQ(ask([] { return HttpReply{.body = "yes"}; }).body, "yes");
  const HttpReply usage = ask([]() -> HttpReply { fail(ErrorKind::kUsage, "/home/ann/x.pt: is wrong"); });
  EXPECT_EQ(usage.status, 400);
  EXPECT_THAT(usage.body, HasSubstr("\"x.pt: is wrong\""));
  EXPECT_EQ(ask([]() -> HttpReply { fail(ErrorKind::kNoInput, "none"); }).status, 404);
  EXPECT_EQ(ask([]() -> HttpReply { fail(ErrorKind::kUnavailable, "no memory"); }).status, 503);
  EXPECT_EQ(ask([]() -> HttpReply { throw std::runtime_error("broken"); }).status, 500);
}

TEST(Background, RefusesWhenFullAndForgetsWhoHasGone) {
  Background background(1);
  Held held(background);
  const auto gone = std::make_shared<Exchange>(), refused = std::make_shared<Exchange>();
  bool made = false;
  answer_later(background, gone, [&] {
    made = true;
    return HttpReply{};
  });
  answer_later(background, refused, [] { return HttpReply{}; });
  const HttpReply reply = refused->given.get_future().get();
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.headers.at(0).first, "Retry-After");
  gone->gone();
  held.let_go();
  std::promise<void> after;
  while (!background.run([&] { after.set_value(); })) std::this_thread::yield();
  after.get_future().wait();
  EXPECT_FALSE(made);
}

}  // namespace
}  // namespace sumi::app
