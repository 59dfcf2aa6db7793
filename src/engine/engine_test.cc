// The public interface on the tiny model.
#include "sumi/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <limits>
#include <thread>

#include "base/count.h"
#include "image/png.h"
#include "tests/support/tiny_engine.h"

namespace sumi {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class EngineTest : public testing::Test {
 protected:
  struct Vocabulary : test::TempFolder {
    Vocabulary() { tools::write_byte_vocabulary(path()); }
  };

  Model open(Engine& engine) { return engine.open(test::tiny_options(folder_.path())); }
  static Request small(std::vector<std::string> prompts) {
    return {.prompts = std::move(prompts), .width = 64, .height = 64, .steps = 3, .seed = 7};
  }
  static std::string long_prompt() {
    std::string text;
    for (int i = 0; i < 100; ++i) text += "a ";
    return text;
  }
  template <class Work> static std::string error_of(ErrorKind kind, const Work& work) {
    try {
      work();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      return error.what();
    }
    return "nothing was thrown";
  }

  Vocabulary folder_;
  Engine engine_{{.threads = 2}};
  Model model_ = open(engine_);
};

TEST_F(EngineTest, DecidesWhatARequestLeavesOpen) {
  const Settings quick = model_.prepare({.prompts = {"a cat"}}).settings();
  EXPECT_EQ(quick.sampler, "dpmpp_2m");
  EXPECT_EQ(quick.schedule, "karras");
  EXPECT_EQ(quick.steps, 25);
  EXPECT_EQ(quick.syntax, "weighted");
  EXPECT_EQ(quick.seeding, "run");
  EXPECT_EQ(quick.width, model_.info().default_size);
  EXPECT_EQ(quick.pictures, 1);
  EXPECT_EQ(quick.precision, "f32");
  EXPECT_EQ(quick.threads, 2);
  EXPECT_GT(quick.planned_bytes, 0);
  const Settings original = model_.prepare({.prompts = {"a cat"}, .defaults = "original"}).settings();
  EXPECT_EQ(original.sampler, "ddim");
  EXPECT_EQ(original.schedule, "uniform");
  EXPECT_EQ(original.steps, 50);
  EXPECT_EQ(original.syntax, "exact");
  // A schedule belongs to the sampler it is the default of.
  EXPECT_EQ(model_.prepare({.prompts = {""}, .sampler = "Euler a"}).settings().schedule, "discrete");
  EXPECT_EQ(model_.prepare({.prompts = {""}, .sampler = "DPM++ 2M Karras"}).settings().schedule, "karras");
  EXPECT_EQ(model_.prepare({.prompts = {""}, .schedule = "exponential"}).settings().sampler, "dpmpp_2m");
  EXPECT_NE(model_.prepare({.prompts = {""}}).settings().seed, model_.prepare({.prompts = {""}}).settings().seed);
}

TEST_F(EngineTest, RefusesWhatIsWrongWithAField) {
  const auto refused = [&](const Request& request) {
    return error_of(ErrorKind::kUsage, [&] { model_.prepare(request); });
  };
  EXPECT_THAT(refused({}), HasSubstr("no prompt"));
  EXPECT_THAT(refused({.prompts = {""}, .steps = 0}), HasSubstr("`steps` must be from 1 to 10000, not 0"));
  EXPECT_THAT(refused({.prompts = {""}, .steps = 10001}), HasSubstr("`steps`"));
  EXPECT_THAT(refused({.prompts = {""}, .sampler = "no"}), HasSubstr("unknown sampler"));
  EXPECT_THAT(refused({.prompts = {""}, .sampler = "DPM++ 2M Karras", .schedule = "uniform"}), HasSubstr("karras"));
  EXPECT_THAT(refused({.prompts = {""}, .seeding = "both"}), HasSubstr("`seeding` must be run or picture"));
  EXPECT_THAT(refused({.prompts = {""}, .seeding = "picture", .fixed_noise = true}), HasSubstr("`fixed_noise`"));
  EXPECT_THAT(refused({.prompts = {""}, .fixed_noise = true, .subseed = 1, .subseed_strength = 0.5}),
              HasSubstr("`fixed_noise` and `subseed`"));
  EXPECT_THAT(refused({.prompts = {""}, .rng = "tpu"}), HasSubstr("`rng`"));
  EXPECT_THAT(refused({.prompts = {""}, .syntax = "loose"}), HasSubstr("`syntax`"));
  EXPECT_THAT(refused({.prompts = {""}, .defaults = "mine"}), HasSubstr("`defaults`"));
  EXPECT_THAT(refused({.prompts = {""}, .share = 2, .share_of = 2}), HasSubstr("`share`"));
  EXPECT_THAT(refused({.prompts = {"caf\xe9"}}), HasSubstr("UTF-8"));
  EXPECT_THAT(refused({.prompts = {"(a:1e309)"}}), HasSubstr("1e309"));
  EXPECT_THAT(refused({.prompts = {"<lora:a:1>", "b"}}), HasSubstr("different LoRAs"));
  EXPECT_THAT(error_of(ErrorKind::kNoInput, [&] { model_.prepare({.prompts = {"<lora:absent:1>"}}); }),
              AllOf(HasSubstr("absent"), HasSubstr("`lora_folder`")));
  EXPECT_THAT(
      error_of(
          ErrorKind::kUnavailable,
          [&] { model_.prepare({.prompts = {""}, .copies = 1024, .batch = 1024, .width = 16384, .height = 16384}); }),
      HasSubstr("memory"));
}

TEST_F(EngineTest, RefusesWhatIsWrongWithAModel) {
  const auto refused = [&](ErrorKind kind, ModelOptions options) {
    return error_of(kind, [&] { engine_.open(options); });
  };
  EXPECT_THAT(refused(ErrorKind::kUsage, {}), HasSubstr("`path`"));
  EXPECT_THAT(refused(ErrorKind::kNoInput, {.path = "absent.safetensors"}), HasSubstr("absent.safetensors"));
  EXPECT_THAT(refused(ErrorKind::kUsage, {.path = "x", .dtype = "i8"}), HasSubstr("i8"));
  EXPECT_THAT(refused(ErrorKind::kUsage, {.path = "x", .precision = "double"}), HasSubstr("`precision`"));
  EXPECT_THAT(refused(ErrorKind::kUsage, {.path = "x", .prediction = "noise"}), HasSubstr("`prediction`"));
  error_of(ErrorKind::kUsage, [] { Engine({.threads = 1025}); });
}

TEST_F(EngineTest, ModelsHaveNames) {
  ModelOptions options = test::tiny_options(folder_.path());
  EXPECT_EQ(model_.info().name, options.path);
  const Model second = engine_.open(options);
  EXPECT_EQ(second.info().name, options.path + " (2)");
  options.name = "tiny";
  {
    const Model named = engine_.open(options);
    EXPECT_EQ(engine_.model("tiny").info().name, "tiny");
    EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { engine_.open(options); }), HasSubstr("tiny"));
    EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { engine_.model("big"); }), HasSubstr("tiny"));
  }
  EXPECT_NO_THROW(engine_.open(options));  // the name is free again with the last handle
  EXPECT_EQ(engine_.models().size(), 2u);
}

TEST_F(EngineTest, DecidesEverythingOnce) {
  const CountScope counts;
  Engine engine({.threads = 2});
  const Model model = open(engine);
  Request request = small({"a (red:1.2) cat", "a dog", "a (red:1.2) cat"});
  request.negative_prompt = "blurry";
  request.syntax = "weighted";
  request.iterations = 2;
  EXPECT_EQ(test::draw(model, request).size(), 6u);
  EXPECT_EQ(counts["grid"], 1);
  EXPECT_EQ(counts["noise_schedule"], 1);
  EXPECT_EQ(counts["parse_prompt"], 3);  // the distinct texts
  EXPECT_EQ(counts["tokenize"], 3);
  EXPECT_EQ(counts["parse_tags"], 3);  // one for each prompt
}

TEST_F(EngineTest, MapsAFileOnce) {
  const test::TempFolder folder;
  test::write_tiny_lora(folder / "style.safetensors", 4);
  const CountScope counts;
  Engine engine({.threads = 2});
  const Model model = open(engine);
  EXPECT_EQ(counts["map_file"], 1);
  Request request = small({"a cat"});
  request.loras = {{.file = (folder / "style.safetensors").string()}};
  EXPECT_EQ(test::draw(model, request).size(), 1u);
  EXPECT_EQ(counts["map_file"], 2);
}

TEST_F(EngineTest, ReportsStepsPicturesAndParameters) {
  Request request = small({"a cat", "a dog"});
  request.copies = 2;
  request.batch = 3;
  std::vector<std::string> steps;
  std::vector<Picture> pictures;
  Job job = model_.prepare(request);
  EXPECT_EQ(job.settings().pictures, 4);
  EXPECT_EQ(job.settings().batch, 3);
  job.run({.step =
               [&](const Step& s) {
                 steps.push_back(std::to_string(s.batch) + "/" + std::to_string(s.batches) + " " +
                                 std::to_string(s.done));
               },
           .picture = [&](Picture&& picture) { pictures.push_back(std::move(picture)); }});
  EXPECT_THAT(steps, ElementsAre("0/2 0", "0/2 1", "0/2 2", "0/2 3", "1/2 0", "1/2 1", "1/2 2", "1/2 3"));
  ASSERT_EQ(pictures.size(), 4u);
  EXPECT_EQ(pictures[2].prompt, "a dog");
  EXPECT_EQ(pictures[2].number, 2);
  EXPECT_EQ(pictures[2].seed, 7u);
  EXPECT_EQ(pictures[2].image.width, 64);
  EXPECT_THAT(pictures[2].parameters,
              AllOf(HasSubstr("a dog\n"), HasSubstr("Steps: 3"), HasSubstr("Batch pos: 2"), HasSubstr("Seed: 7")));
  EXPECT_THAT(error_of(ErrorKind::kUsage, [&] { job.run(); }), HasSubstr("runs once"));
}

// Whatever draws fresh noise, and texts of different lengths beside one another.
TEST_F(EngineTest, PicturesSeededAloneAreTheSameInABatch) {
  test::write_tiny_lora(folder_ / "style.safetensors", 4);
  for (const NamedHelp& named : Engine::samplers()) {
    const std::string& sampler = named.name;
    Request request = small({"a cat", "a dog", long_prompt(), "a bird"});
    request.width = 32;
    request.sampler = sampler;
    if (sampler == "lcm") request.scale = 1.0;                        // without guidance
    if (sampler == "euler") request.negative_prompt = long_prompt();  // longer than most prompts
    if (sampler == "heun") request.loras = {{(folder_ / "style.safetensors").string(), 0.5}};
    request.seeding = "picture";
    request.syntax = "weighted";
    request.steps = 2;
    request.batch = 4;
    const std::vector<Picture> together = test::draw(model_, request);
    ASSERT_EQ(together.size(), 4u);
    for (const Picture& picture : together) {
      EXPECT_EQ(picture.seed, 7u + static_cast<uint64_t>(picture.number));
      Request alone = small({picture.prompt});
      alone.width = 32;
      alone.steps = 2;
      alone.sampler = sampler;
      alone.scale = request.scale;
      alone.negative_prompt = request.negative_prompt;
      alone.loras = request.loras;
      alone.syntax = "weighted";
      alone.seed = picture.seed;
      for (const char* seeding : {"picture", "run"}) {  // makes no difference to a single picture
        alone.seeding = seeding;
        const Picture own = test::draw(model_, alone)[0];
        EXPECT_EQ(own.image, picture.image) << sampler << " " << picture.number;
        EXPECT_EQ(own.parameters, picture.parameters);
      }
    }
    EXPECT_FALSE(together[0].image == together[1].image);
  }
}

TEST_F(EngineTest, SeedsOfPicturesWrapAround) {
  Request request = small({"a cat"});
  request.seeding = "picture";
  request.copies = 2;
  request.seed = UINT64_MAX;
  EXPECT_EQ(test::draw(model_, request)[1].seed, 0u);
}

TEST_F(EngineTest, SharesOfAJobMakeTheWhole) {
  for (const char* seeding : {"run", "picture"}) {
    Request request = small({"a", "b", "c", "d"});
    request.sampler = "euler_ancestral";
    request.seeding = seeding;
    const std::vector<Picture> whole = test::draw(model_, request);
    request.share_of = 3;
    for (request.share = 0; request.share < 3; ++request.share) {
      for (const Picture& picture : test::draw(model_, request)) {
        EXPECT_EQ(picture.number % 3, request.share);
        EXPECT_EQ(picture.image, whole[static_cast<size_t>(picture.number)].image) << seeding << picture.number;
      }
    }
  }
}

TEST_F(EngineTest, ALoraBelongsToItsJob) {
  test::write_tiny_lora(folder_ / "style.safetensors", 4);
  const Request plain = small({"a cat"});
  Request with = plain;
  with.loras = {{(folder_ / "style.safetensors").string(), 0.5}};
  const Image before = test::draw(model_, plain)[0].image;
  const std::vector<Picture> changed = test::draw(model_, with);
  EXPECT_FALSE(changed[0].image == before);
  EXPECT_THAT(changed[0].parameters, HasSubstr("<lora:style:0.5>"));
  EXPECT_EQ(test::draw(model_, plain)[0].image, before);
  // The same by name.
  Request named = small({"a cat<lora:style:0.5>"});
  named.lora_folder = folder_.path().string();
  EXPECT_EQ(test::draw(model_, named)[0].image, changed[0].image);
  EXPECT_EQ(model_.prepare(named).settings().loras.size(), 1u);
  EXPECT_GT(model_.prepare(named).settings().planned_bytes, model_.prepare(plain).settings().planned_bytes);
}

TEST_F(EngineTest, StopsWithinAStep) {
  Request request = small({"a cat"});
  request.steps = 100;
  Job job = model_.prepare(request);
  int steps = 0;
  error_of(ErrorKind::kCancelled, [&] {
    job.run({.step = [&](const Step& step) {
      steps = step.done;
      if (step.done == 2) job.cancel();
    }});
  });
  EXPECT_EQ(steps, 2);
  Job before = model_.prepare(request);
  before.cancel();
  EXPECT_NE(error_of(ErrorKind::kCancelled, [&] { before.run(); }), "");
  EXPECT_THROW(model_.prepare(request).run({.step = [](const Step&) { throw std::logic_error("a hook's own"); }}),
               std::logic_error);
}

TEST_F(EngineTest, WarningsGoToTheJob) {
  Request request = small({long_prompt()});
  request.syntax = "exact";
  request.scale = 1.0;
  request.negative_prompt = "blurry";
  std::vector<std::string> warnings;
  model_.prepare(request).run({.warning = [&](const std::string& sentence) { warnings.push_back(sentence); }});
  EXPECT_THAT(warnings, testing::UnorderedElementsAre(HasSubstr("tokens do not fit"),
                                                      HasSubstr("no effect at guidance scale 1")));
  EXPECT_THAT(model_.info().warnings, IsEmpty());
}

// A hook that throws while another exception is on its way must not end the process.
TEST_F(EngineTest, AHookMayThrowOnTheWarningsOfAModelThatFails) {
  const auto whole = io::open_checkpoint(test::synthetic_model());
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const io::TensorInfo& info : whole->tensors()) {
    Tensor tensor = whole->tensor(info.name);
    if (info.name == "model.diffusion_model.time_embed.0.bias")
      tensor = Tensor::full(tensor.shape(), std::numeric_limits<float>::quiet_NaN());
    if (info.name != "model.diffusion_model.out.2.bias") tensors.emplace_back(info.name, tensor);
  }
  ModelOptions options = test::tiny_options(folder_.path());
  options.path = (folder_ / "broken.safetensors").string();
  io::write_safetensors(options.path, tensors);
  int warnings = 0;
  Job job = engine_.open(options).prepare(small({"a cat"}));
  EXPECT_THAT(error_of(ErrorKind::kData,
                       [&] {
                         job.run({.warning = [&](const std::string&) {
                           ++warnings;
                           throw std::runtime_error("the hook's own");
                         }});
                       }),
              HasSubstr("out.2.bias"));
  EXPECT_EQ(warnings, 1);
}

TEST_F(EngineTest, PreviewsFollowThePicture) {
  Request request = small({"a cat"});
  request.copies = request.batch = 2;
  std::vector<Preview> previews;
  std::vector<Picture> pictures;
  model_.prepare(request).run({.preview = [&](Preview&& preview) { previews.push_back(std::move(preview)); },
                               .picture = [&](Picture&& picture) { pictures.push_back(std::move(picture)); }});
  ASSERT_EQ(previews.size(), 6u);  // three steps of two pictures
  EXPECT_EQ(previews[5].number, 1);
  EXPECT_EQ(previews[5].done, 3);
  EXPECT_EQ(previews[5].image.width, 64 / model_.info().multiple);
  EXPECT_EQ(pictures[0].image, test::draw(model_, request)[0].image);  // looking does not change it
}

TEST_F(EngineTest, AJobThatDoesNotFitTheBudgetIsRefused) {
  Engine poor({.threads = 2, .memory_budget = 1 << 20});
  const Model model = open(poor);
  EXPECT_THAT(error_of(ErrorKind::kUnavailable, [&] { model.prepare(small({"a cat"})); }), HasSubstr("memory"));
}

// The second job fits only when the first has ended; the third is cancelled while it waits.
TEST_F(EngineTest, JobsWaitForTheBudget) {
  Request request = small({"a cat"});
  request.width = request.height = 512;  // takes more than the plan's margin
  const Settings one = model_.prepare(request).settings();
  Engine tight({.threads = 1, .memory_budget = one.planned_bytes + (1 << 20)});
  const Model model = open(tight);
  const Image expected = test::draw(model, request)[0].image;
  Job first = model.prepare(request), second = model.prepare(request), third = model.prepare(request);
  std::atomic<bool> ended{false};
  std::thread others[2];
  first.run({.step = [&](const Step& step) {
    if (step.done == 1) {
      others[0] = std::thread([&] {
        second.run({.step = [&](const Step&) { EXPECT_TRUE(ended); },
                    .picture = [&](Picture&& picture) { EXPECT_EQ(picture.image, expected); }});
      });
      others[1] = std::thread([&] { error_of(ErrorKind::kCancelled, [&] { third.run(); }); });
    }
    if (step.done == 3) {
      third.cancel();
      others[1].join();  // it does not wait for this job
      ended = true;
    }
  }});
  others[0].join();
}

TEST_F(EngineTest, AHookMayUseTheLibrary) {
  Request outer = small({"a cat"}), inner = small({"a dog"});
  outer.width = outer.height = inner.width = inner.height = 512;
  outer.steps = inner.steps = 1;
  Engine tight({.threads = 1, .memory_budget = model_.prepare(outer).settings().planned_bytes + (1 << 20)});
  const Model model = open(tight);
  const Image expected = test::draw(model, inner)[0].image;
  int drawn = 0;
  model.prepare(outer).run({.step = [&](const Step& step) {
    EXPECT_TRUE(model.info().loaded);
    if (step.done == 1) drawn += test::draw(model, inner)[0].image == expected ? 1 : 0;
  }});
  EXPECT_EQ(drawn, 1);
}

TEST_F(EngineTest, WhatAJobTookIsNoReasonToRefuseTheNext) {
  ModelOptions options = test::tiny_options(folder_.path());
  options.dtype = "f32";
  const Model model = engine_.open(options);
  const int64_t before = model.prepare(small({"a cat"})).settings().planned_bytes;
  test::draw(model, small({"a cat"}));
  EXPECT_LE(model.prepare(small({"a cat"})).settings().planned_bytes, before);
}

TEST_F(EngineTest, ThreadsMayLoadTheModelTogether) {
  const Model model = open(engine_);
  const Image expected = test::draw(model_, small({"a cat"}))[0].image;
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      int previews = 0;
      model.prepare(small({"a cat"}))
          .run({.preview = [&](Preview&&) { ++previews; },
                .picture = [&](Picture&& p) { EXPECT_EQ(p.image, expected); }});
      EXPECT_EQ(previews, 3);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(EngineTest, ManyJobsShareALoraFile) {
  test::write_tiny_lora(folder_ / "style.safetensors", 2);
  Request request = small({"a cat"});
  request.loras = {{(folder_ / "style.safetensors").string(), 1.0}};
  std::vector<Job> jobs;
  for (int i = 0; i < 300; ++i) jobs.push_back(model_.prepare(request));  // more than files that can be mapped
  EXPECT_EQ(jobs.back().settings().loras.size(), 1u);
}

TEST_F(EngineTest, JobsOutliveTheirHandles) {
  std::optional<Job> job;
  {
    Engine engine({.threads = 1});
    job = open(engine).prepare(small({"a cat"}));
  }
  std::vector<Picture> pictures;
  job->run({.picture = [&](Picture&& picture) { pictures.push_back(std::move(picture)); }});
  EXPECT_EQ(pictures.at(0).image, test::draw(model_, small({"a cat"}))[0].image);  // one thread, two threads
}

TEST_F(EngineTest, WritesPngWithParameters) {
  const std::string file = (folder_ / "a.png").string();
  Image image(3, 2);
  image.pixels[4] = 200;
  write_png(file, image, "a cat\nSteps: 3");
  const image::Png read = image::read_png(file);
  EXPECT_EQ(read.image, image);
  EXPECT_THAT(read.texts, ElementsAre(testing::Pair("parameters", "a cat\nSteps: 3")));
  image.pixels.pop_back();
  error_of(ErrorKind::kUsage, [&] { write_png(file, image); });
  error_of(ErrorKind::kUsage, [&] { write_png(file, Image()); });
  error_of(ErrorKind::kUsage, [&] { write_png("", Image(1, 1)); });
  error_of(ErrorKind::kUsage, [&] { write_png(file, Image(1, 1), "\xff"); });
  error_of(ErrorKind::kCannotCreate, [&] { write_png((folder_ / "none/a.png").string(), Image(1, 1)); });
}

}  // namespace
}  // namespace sumi
