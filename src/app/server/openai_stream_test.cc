#include "app/server/openai_stream.h"

#include "image/read.h"
#include "tests/support/openai_fixture.h"

namespace sumi::app {
namespace {

using testing::ElementsAre;

TEST_F(OpenaiTest, AStreamShowsThePictureInTheMaking) {
  const auto answered = generate(R"("stream": true, "partial_images": 2, "output_format": "jpeg", "quality": "low")");
  EXPECT_TRUE(jobs_.submission.previews);
  jobs_.tell("queued", {{"place", 0}});
  settle();
  EXPECT_FALSE(answered->head);
  for (int64_t done = 0; done <= 9; ++done) {
    step(done, 9);
    if (done > 0) jobs_.preview();
    settle();
  }
  EXPECT_EQ(answered->head->type, "text/event-stream");
  jobs_.finish();
  settle();
  EXPECT_TRUE(answered->ended);
  const auto events = events_of(answered->body);
  ASSERT_THAT(names_of(events), ElementsAre("image_generation.partial_image", "image_generation.partial_image",
                                            "image_generation.completed"));
  for (size_t i = 0; i < events.size(); ++i) {
    const Json& data = events[i].data;
    EXPECT_EQ(data.at("size"), "64x32");
    EXPECT_EQ(data.at("output_format"), "jpeg");
    EXPECT_EQ(data.at("quality"), "low");
    EXPECT_EQ(data.at("background"), "opaque");
    EXPECT_GT(data.at("created_at").get<int64_t>(), 1'600'000'000);
    const Image image = image::decode_picture(bytes_of(data.at("b64_json")), "it");
    EXPECT_EQ(image.width, 64);
    EXPECT_EQ(image.height, 32);
    if (i < 2) {
      EXPECT_EQ(data.at("partial_image_index"), i);
    }
  }
  EXPECT_EQ(events.back().data.at("seed"), 40);
  EXPECT_TRUE(jobs_.calls.empty());  // nobody watches any more
  EXPECT_EQ(jobs_.cancelled, 0);
  let_time_pass();  // no heartbeat comes after the end
}

TEST_F(OpenaiTest, AStreamTellsWhatWentWrong) {
  const auto answered = generate(R"("stream": true)");
  step(0, 9);
  jobs_.fail(ErrorKind::kInternal, "a bug");
  settle();
  EXPECT_EQ(answered->status(), 200);
  EXPECT_TRUE(answered->ended);
  const auto events = events_of(answered->body);
  ASSERT_THAT(names_of(events), ElementsAre("error"));
  EXPECT_EQ(events[0].data.at("error").at("message"), "a bug");
  EXPECT_EQ(events[0].data.at("error").at("type"), "server_error");
}

TEST_F(OpenaiTest, AStreamOfACancelledJobIsNotAskedForAgain) {
  const auto answered = generate(R"("stream": true)");
  jobs_.seen.state = JobState::kCancelled;
  jobs_.tell("cancelled");
  settle();
  expect_error(*answered, 409, "invalid_request_error", nullptr, nullptr, "cancelled");
  EXPECT_THAT(answered->head->headers, testing::Contains(testing::Pair("x-should-retry", "false")));
}

TEST_F(OpenaiTest, AClientThatGoesCancelsTheJob) {
  const auto answered = generate(R"("stream": true)");
  step(0, 9);
  ASSERT_TRUE(answered->gone);
  answered->gone();
  EXPECT_EQ(jobs_.cancelled, 1);
  EXPECT_TRUE(jobs_.calls.empty());
  settle();
  let_time_pass();
  EXPECT_FALSE(answered->ended);
}

TEST_F(OpenaiTest, AStreamIsNeverSilent) {
  const auto answered = generate(R"("stream": true)");
  let_time_pass();
  EXPECT_EQ(answered->body, ": \n\n");
  let_time_pass();
  EXPECT_EQ(answered->body, ": \n\n: \n\n");
  jobs_.finish();
  settle();
  EXPECT_THAT(names_of(events_of(answered->body)), ElementsAre("image_generation.completed"));
}

TEST(ShownSteps, AreSpreadEvenly) {
  const auto shown = [](int64_t wanted, int64_t steps) {
    ShownSteps take(wanted);
    std::vector<int64_t> at;
    for (int64_t done = 0; done <= steps; ++done)
      if (take.take(done, steps)) at.push_back(done);
    return at;
  };
  EXPECT_THAT(shown(0, 20), ElementsAre());
  EXPECT_THAT(shown(1, 20), ElementsAre(10));
  EXPECT_THAT(shown(3, 20), ElementsAre(5, 10, 15));
  EXPECT_THAT(shown(2, 10), ElementsAre(4, 7));
  for (int64_t wanted = 1; wanted <= 3; ++wanted) {
    for (int64_t steps = 1; steps <= 40; ++steps)
      EXPECT_EQ(shown(wanted, steps).size(), static_cast<size_t>(std::min(wanted, steps))) << wanted << " " << steps;
  }
  ShownSteps late(2);  // what was missed is made up for
  EXPECT_TRUE(late.take(9, 10));
  EXPECT_TRUE(late.take(10, 10));
  EXPECT_FALSE(late.take(10, 10));
}

}  // namespace
}  // namespace sumi::app
