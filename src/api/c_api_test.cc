// The C interface at work: it draws what the C++ interface draws, reports, cancels, and frees in any order.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "api/c_header_test.h"
#include "api/json.h"
#include "image/png.h"
#include "sumi/engine.h"
#include "tests/support/c_interface.h"

namespace sumi::api {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

// Everything a job told its callbacks.
struct Diary {
  std::vector<Json> steps, infos;
  std::vector<std::vector<uint8_t>> pictures;
  std::vector<int64_t> previews;
  std::vector<std::string> warnings;
  std::thread::id thread;
};

int note_step(void* user, const sumi_step* step) {
  auto& diary = *static_cast<Diary*>(user);
  diary.steps.push_back({step->batch, step->batches, step->done, step->steps});
  diary.thread = std::this_thread::get_id();
  return 0;
}
int note_preview(void* user, const sumi_image* image, int64_t number, const sumi_step* step) {
  EXPECT_EQ(image->width, 8);
  EXPECT_EQ(image->height, 8);
  EXPECT_GE(step->done, 1);
  static_cast<Diary*>(user)->previews.push_back(number);
  return 0;
}
int note_picture(void* user, const sumi_image* image, const char* info) {
  auto& diary = *static_cast<Diary*>(user);
  diary.pictures.emplace_back(image->pixels, image->pixels + image->height * image->stride);
  diary.infos.push_back(Json::parse(info));
  return 0;
}
int note_warning(void* user, const char* sentence) {
  static_cast<Diary*>(user)->warnings.emplace_back(sentence);
  return 0;
}
constexpr sumi_callbacks kNotes = {sizeof(sumi_callbacks), note_step, note_preview, note_picture, note_warning};

class CApi : public test::CInterface {
 protected:
  // What the C++ interface draws.
  std::vector<Picture> drawn_in_cpp(const Json& request) const {
    std::vector<Picture> pictures;
    Engine engine;
    Job job = engine.open(parse_model_options(model_options().dump())).prepare(parse_request(request.dump()));
    job.run({.picture = [&](Picture&& picture) { pictures.push_back(std::move(picture)); }});
    return pictures;
  }
};

TEST_F(CApi, DrawsWhatTheCppInterfaceDraws) {
  const Json asked = request({{"copies", 2}, {"batch", 2}, {"iterations", 2}, {"seeding", "picture"}});
  const auto engine = test::make_engine();
  const auto model = test::open_model(engine.get(), model_options());
  Diary diary;
  const auto job = test::make_job(model.get(), asked, &kNotes, &diary);
  const Json settings = test::reply([&](char** json) { return sumi_job_describe(job.get(), json); });
  ASSERT_EQ(sumi_job_run(job.get()), SUMI_OK) << sumi_error_message();

  const std::vector<Picture> expected = drawn_in_cpp(asked);
  ASSERT_EQ(diary.pictures.size(), 4u);
  ASSERT_EQ(expected.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(diary.pictures[i], expected[i].image.pixels) << i;
    EXPECT_EQ(diary.infos[i], Json::parse(to_json(info_of(expected[i])))) << i;
    EXPECT_EQ(diary.infos[i]["seed"], 42 + i);
  }
  EXPECT_EQ(settings["seed"], 42);
  EXPECT_EQ(settings["steps"], 2);
  EXPECT_EQ(settings["pictures"], 4);
  EXPECT_EQ(diary.steps,
            (std::vector<Json>{{0, 2, 0, 2}, {0, 2, 1, 2}, {0, 2, 2, 2}, {1, 2, 0, 2}, {1, 2, 1, 2}, {1, 2, 2, 2}}));
  EXPECT_EQ(diary.previews, (std::vector<int64_t>{0, 1, 0, 1, 2, 3, 2, 3}));
  EXPECT_EQ(diary.thread, std::this_thread::get_id());
}

TEST_F(CApi, AProgramInCDrawsTheSame) {
  CReport report;
  ASSERT_EQ(draw_in_c(nullptr, model_options().dump().c_str(), request().dump().c_str(), &report), SUMI_OK)
      << sumi_error_message();
  const std::vector<Picture> expected = drawn_in_cpp(request());
  uint64_t hash = 14695981039346656037ull;
  for (const uint8_t value : expected.at(0).image.pixels) hash = (hash ^ value) * 1099511628211ull;
  EXPECT_EQ(report.hash, hash);
  EXPECT_EQ(report.pictures, 1);
  EXPECT_EQ(report.steps, 3);
  EXPECT_EQ(report.previews, 2);
  EXPECT_EQ(Json::parse(report.settings)["width"], 64);
}

TEST_F(CApi, DescribesAndLoadsAModel) {
  const auto engine = test::make_engine(R"({"threads": 1})");
  Json options = model_options();
  options["name"] = "tiny";
  const auto model = test::open_model(engine.get(), options);
  const auto describe = [&] {
    return test::reply([&](char** json) { return sumi_model_describe(model.get(), json); });
  };
  EXPECT_EQ(describe()["name"], "tiny");
  EXPECT_EQ(describe()["path"], options["path"]);
  EXPECT_EQ(describe()["loaded"], false);
  EXPECT_EQ(sumi_model_load(model.get()), SUMI_OK) << sumi_error_message();
  EXPECT_EQ(describe()["loaded"], true);
}

TEST_F(CApi, WarningsReachTheJobTheyBelongTo) {
  const auto engine = test::make_engine();
  const auto model = test::open_model(engine.get(), model_options());
  Diary diary;
  const Json asked = request({{"prompt", std::string(200, 'a')}, {"syntax", "exact"}});
  ASSERT_EQ(sumi_job_run(test::make_job(model.get(), asked, &kNotes, &diary).get()), SUMI_OK);
  ASSERT_FALSE(diary.warnings.empty());
  EXPECT_THAT(diary.warnings[0], HasSubstr("tokens"));
}

TEST_F(CApi, EveryCallbackCanCancel) {
  const auto engine = test::make_engine();
  const auto model = test::open_model(engine.get(), model_options());
  const Json asked = request({{"prompt", std::string(200, 'a')}, {"syntax", "exact"}});
  const auto status_of = [&](const sumi_callbacks& callbacks, int* calls) {
    return sumi_job_run(test::make_job(model.get(), asked, &callbacks, calls).get());
  };
  sumi_callbacks each[4] = {};
  for (sumi_callbacks& callbacks : each) callbacks.size = sizeof(sumi_callbacks);
  each[0].step = [](void* calls, const sumi_step*) { return ++*static_cast<int*>(calls); };
  each[1].preview = [](void* calls, const sumi_image*, int64_t, const sumi_step*) {
    return ++*static_cast<int*>(calls);
  };
  each[2].picture = [](void* calls, const sumi_image*, const char*) { return ++*static_cast<int*>(calls); };
  each[3].warning = [](void* calls, const char*) { return ++*static_cast<int*>(calls); };
  for (const sumi_callbacks& callbacks : each) {
    int calls = 0;
    EXPECT_EQ(status_of(callbacks, &calls), SUMI_CANCELLED);
    EXPECT_EQ(calls, 1);
    EXPECT_THAT(sumi_error_message(), HasSubstr("cancelled by the "));
  }
}

TEST_F(CApi, CancelsFromAnyThreadAndBeforeTheRun) {
  const auto engine = test::make_engine();
  const auto model = test::open_model(engine.get(), model_options());
  std::atomic<int> steps = 0;
  sumi_callbacks callbacks = {};
  callbacks.size = sizeof(callbacks);
  callbacks.step = [](void* user, const sumi_step*) {
    auto& count = *static_cast<std::atomic<int>*>(user);
    ++count;
    count.notify_all();
    return 0;
  };
  const auto job = test::make_job(model.get(), request({{"steps", 1000}}), &callbacks, &steps);
  sumi_status status = SUMI_OK;
  std::thread runner([&] { status = sumi_job_run(job.get()); });
  steps.wait(0);
  sumi_job_cancel(job.get());
  runner.join();
  EXPECT_EQ(status, SUMI_CANCELLED);
  EXPECT_LT(steps, 1000);

  steps = 0;
  const auto early = test::make_job(model.get(), request(), &callbacks, &steps);
  sumi_job_cancel(early.get());
  sumi_job_cancel(early.get());
  EXPECT_EQ(sumi_job_run(early.get()), SUMI_CANCELLED);
  EXPECT_LE(steps, 1);
}

TEST_F(CApi, ACallbackMayCancelByTheFunctionToo) {
  const auto engine = test::make_engine();
  const auto model = test::open_model(engine.get(), model_options());
  sumi_job* self = nullptr;
  sumi_callbacks callbacks = {};
  callbacks.size = sizeof(callbacks);
  callbacks.step = [](void* user, const sumi_step*) {
    sumi_job_cancel(*static_cast<sumi_job**>(user));
    return 0;
  };
  const auto job = test::make_job(model.get(), request(), &callbacks, &self);
  self = job.get();
  EXPECT_EQ(sumi_job_run(job.get()), SUMI_CANCELLED);
}

TEST_F(CApi, AnExceptionInACallbackDoesNotPass) {
  const auto engine = test::make_engine();
  const auto model = test::open_model(engine.get(), model_options());
  sumi_callbacks callbacks = {};
  callbacks.size = sizeof(callbacks);
  callbacks.step = [](void*, const sumi_step*) -> int { throw 1; };
  EXPECT_EQ(sumi_job_run(test::make_job(model.get(), request(), &callbacks).get()), SUMI_USAGE);
  EXPECT_THAT(sumi_error_message(), HasSubstr("the step callback threw an exception"));
  EXPECT_EQ(sumi_job_run(test::make_job(model.get(), request()).get()), SUMI_OK) << "the model is as before";
}

TEST_F(CApi, AJobRunsOnce) {
  const auto engine = test::make_engine();
  const auto model = test::open_model(engine.get(), model_options());
  const auto job = test::make_job(model.get(), request());
  EXPECT_EQ(sumi_job_run(job.get()), SUMI_OK);
  EXPECT_EQ(sumi_job_run(job.get()), SUMI_USAGE);
  EXPECT_THAT(sumi_error_message(), HasSubstr("a job runs once"));
}

TEST_F(CApi, ObjectsAreFreedInAnyOrder) {
  auto engine = test::make_engine();
  auto model = test::open_model(engine.get(), model_options());
  Diary diary;
  auto job = test::make_job(model.get(), request(), &kNotes, &diary);
  auto second = test::make_job(model.get(), request());
  engine.reset();
  EXPECT_EQ(sumi_model_load(model.get()), SUMI_OK);
  model.reset();
  EXPECT_EQ(sumi_job_run(job.get()), SUMI_OK);
  job.reset();
  EXPECT_EQ(test::reply([&](char** json) { return sumi_job_describe(second.get(), json); })["steps"], 2);
  ASSERT_EQ(diary.pictures.size(), 1u);
  EXPECT_EQ(diary.pictures[0], drawn_in_cpp(request())[0].image.pixels);
}

TEST_F(CApi, TwoEnginesAtOnce) {
  Diary diaries[4];
  std::vector<std::thread> threads;
  const char* options[] = {R"({"threads": 1})", R"({"threads": 2})"};
  for (const char* threads_of : options) {
    const size_t first = threads.size();
    threads.emplace_back([&, first, threads_of] {
      const auto engine = test::make_engine(threads_of);
      const auto model = test::open_model(engine.get(), model_options());
      // Two jobs of one model at once, too.
      const auto job = test::make_job(model.get(), request(), &kNotes, &diaries[2 * first]);
      const auto other = test::make_job(model.get(), request({{"seed", 43}}), &kNotes, &diaries[2 * first + 1]);
      std::thread beside([&] { EXPECT_EQ(sumi_job_run(other.get()), SUMI_OK) << sumi_error_message(); });
      EXPECT_EQ(sumi_job_run(job.get()), SUMI_OK) << sumi_error_message();
      beside.join();
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto expected = drawn_in_cpp(request())[0].image.pixels;
  const auto expected43 = drawn_in_cpp(request({{"seed", 43}}))[0].image.pixels;
  for (size_t i = 0; i < 4; ++i) {
    ASSERT_EQ(diaries[i].pictures.size(), 1u);
    EXPECT_EQ(diaries[i].pictures[0], i % 2 == 0 ? expected : expected43) << i;
  }
}

TEST_F(CApi, WritesPngWithAStride) {
  std::vector<uint8_t> pixels(3 * 16);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(5 * i);
  const sumi_image image = {pixels.data(), 4, 3, 16};
  const std::string path = folder_ / "a.png";
  ASSERT_EQ(sumi_write_png(path.c_str(), &image, "a cat\nSteps: 2"), SUMI_OK) << sumi_error_message();
  const image::Png read = image::read_png(path);
  ASSERT_EQ(read.image.width, 4);
  ASSERT_EQ(read.image.height, 3);
  for (int64_t y = 0; y < 3; ++y)
    EXPECT_EQ(std::vector<uint8_t>(read.image.row(y), read.image.row(y) + 12),
              std::vector<uint8_t>(pixels.begin() + 16 * y, pixels.begin() + 16 * y + 12));
  EXPECT_EQ(read.texts, (std::vector<image::PngText>{{"parameters", "a cat\nSteps: 2"}}));
  ASSERT_EQ(sumi_write_png(path.c_str(), &image, nullptr), SUMI_OK) << sumi_error_message();
  EXPECT_TRUE(image::read_png(path).texts.empty());
}

TEST_F(CApi, TellsItsVersionAndWhatItHas) {
  EXPECT_EQ(sumi_abi_version(), SUMI_ABI_VERSION);
  EXPECT_EQ(sumi_version(), Engine::version());
  const auto listed = [](const char* what) { return test::reply([&](char** json) { return sumi_list(what, json); }); };
  EXPECT_EQ(listed("samplers"), Json::parse(to_json(Engine::samplers())));
  EXPECT_EQ(listed("schedules"), Json::parse(to_json(Engine::schedules())));
  EXPECT_EQ(listed("backends"), Json::parse(to_json(Engine::backends())));
  for (const char* what : {"samplers", "schedules", "backends"}) EXPECT_FALSE(listed(what).empty()) << what;
}

}  // namespace
}  // namespace sumi::api
