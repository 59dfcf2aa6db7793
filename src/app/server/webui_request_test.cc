#include "app/server/webui_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/server/webui_fields.h"
#include "app/server/webui_info.h"
#include "app/server/webui_words.h"
#include "base/base64.h"
#include "base/check.h"
#include "image/png.h"
#include "tests/support/webui_fixture.h"

namespace sumi::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class WebuiRequestTest : public WebuiReading {
 protected:
  WebuiRequestTest() { test::write_file(folder_ / "vae/soft.safetensors", "x"); }

  // What the reply says about how the request was taken.
  std::vector<std::string> warnings(const Json& body) const { return read_txt2img(body, options_).echo.warnings; }
};

TEST_F(WebuiRequestTest, DefaultsAreTheWebUIs) {
  const Request r = text({{"prompt", "a cat"}});
  EXPECT_THAT(r.prompts, ElementsAre("a cat"));
  EXPECT_EQ(r.sampler, "euler");
  EXPECT_EQ(r.schedule, "discrete");
  EXPECT_EQ(r.steps, 50);
  EXPECT_EQ(r.scale, 7.0);
  EXPECT_EQ(r.batch, 1);
  EXPECT_EQ(r.iterations, 1);
  EXPECT_EQ(r.seeding, "picture");
  EXPECT_EQ(r.syntax, "weighted");
  EXPECT_EQ(r.rng, "cuda");
  EXPECT_FALSE(r.width);  // the model's
  EXPECT_FALSE(r.hires);
  EXPECT_NO_THROW(CheckedRequest{r});
  EXPECT_EQ(text({{"width", 768}}).height, 512);
}

TEST_F(WebuiRequestTest, SeedsAreDecidedAtOnce) {
  const Request r = text({{"seed", -1}, {"subseed", -1}, {"subseed_strength", 0.5}});
  EXPECT_LT(r.seed.value(), uint64_t{1} << 32);
  EXPECT_LT(r.subseed.value(), uint64_t{1} << 32);
  EXPECT_NE(r.seed, text({}).seed);
  EXPECT_FALSE(text({{"subseed", 7}}).subseed);  // of no effect
  EXPECT_EQ(text({{"seed", 18446744073709551615u}}).seed, 18446744073709551615u);
}

TEST_F(WebuiRequestTest, SamplersAndSchedulesByAnyOfTheirNames) {
  const auto chosen = [&](const char* sampler, const char* schedule) {
    const Request r = text({{"sampler_name", sampler}, {"scheduler", schedule}});
    return *r.sampler + " " + *r.schedule;
  };
  EXPECT_EQ(chosen("DPM++ 2M Karras", "Automatic"), "dpmpp_2m karras");
  EXPECT_EQ(chosen("DPM++ 2M Karras", "karras"), "dpmpp_2m karras");
  EXPECT_EQ(chosen("DPM++ 2M", "automatic"), "dpmpp_2m karras");
  EXPECT_EQ(chosen("DPM++ 2M SDE", ""), "dpmpp_2m_sde exponential");
  EXPECT_EQ(chosen("Euler a", "Karras"), "euler_ancestral karras");
  EXPECT_EQ(chosen("Euler", "uniform"), "euler discrete");
  EXPECT_EQ(chosen("Euler", "Uniform"), "euler discrete");
  EXPECT_EQ(chosen("DDIM", "Automatic"), "ddim uniform");
  EXPECT_EQ(text({{"sampler_index", "Heun"}}).sampler, "heun");
  EXPECT_THAT(refused({{"sampler_name", "DPM++ 2M Karras"}, {"scheduler", "Exponential"}}), HasSubstr("`scheduler`"));
  EXPECT_THAT(refused({{"sampler_name", "Nobody"}}), HasSubstr("Nobody"));
  EXPECT_THAT(refused({{"scheduler", "Nobody"}}), HasSubstr("Nobody"));
  // What the lists name is taken.
  for (const Json& sampler : web_samplers()) {
    EXPECT_EQ(refused({{"sampler_name", sampler["name"]}}), "") << sampler;
    EXPECT_EQ(refused({{"sampler_name", sampler["name"]}, {"scheduler", sampler["options"]["scheduler"]}}), "")
        << sampler;
  }
  int taken = 0;
  for (const Json& schedule : web_schedulers()) {
    const std::string by_name = refused({{"scheduler", schedule["name"]}});
    EXPECT_EQ(by_name, refused({{"scheduler", schedule["label"]}}));
    EXPECT_THAT(by_name, testing::AnyOf("", HasSubstr("cannot use the schedule"))) << schedule;
    taken += by_name.empty() ? 1 : 0;
  }
  EXPECT_GE(taken, 4);
}

// Clients send one schedule with each sampler; the web UI gives these none.
TEST_F(WebuiRequestTest, SamplersWithAScheduleOfTheirOwn) {
  for (const auto& [sampler, own] : {std::pair("DDIM", "uniform"), {"PLMS", "uniform"}, {"UniPC", "leading"}}) {
    for (const char* schedule : {"karras", "Karras", "exponential", "SGM Uniform"}) {
      const Json body{{"sampler_name", sampler}, {"scheduler", schedule}};
      EXPECT_EQ(text(body).schedule, own) << body;
      EXPECT_THAT(warnings(body), ElementsAre(testing::AllOf(HasSubstr(sampler), HasSubstr(schedule)))) << body;
    }
    EXPECT_THAT(warnings({{"sampler_name", sampler}, {"scheduler", "Automatic"}}), IsEmpty());
    EXPECT_THAT(warnings({{"sampler_name", sampler}}), IsEmpty());
  }
  EXPECT_THAT(warnings({{"sampler_name", "DDIM"}, {"scheduler", "uniform"}}), IsEmpty());
  EXPECT_THAT(warnings({{"sampler_name", "DDIM Karras"}}), ElementsAre(HasSubstr("karras")));
  EXPECT_EQ(text({{"sampler_name", "DDIM"}, {"scheduler", "trailing"}}).schedule, "trailing");  // sumi's own
  EXPECT_THAT(refused({{"sampler_name", "LCM"}, {"scheduler", "karras"}}), HasSubstr("cannot use the schedule"));
  const Json second{{"enable_hr", true}, {"scheduler", "karras"}, {"hr_sampler_name", "DDIM"}};
  EXPECT_EQ(text(second).hires->schedule, "uniform");
  EXPECT_THAT(warnings(second), ElementsAre(HasSubstr("`hr_scheduler`")));
}

TEST_F(WebuiRequestTest, AnEtaOfNothingIsNone) {
  for (const char* sampler : {"Euler a", "DPM2 a", "DPM++ SDE"}) {
    EXPECT_FALSE(text({{"sampler_name", sampler}, {"eta", 0}}).eta);
    EXPECT_THAT(warnings({{"sampler_name", sampler}, {"eta", 0}}), ElementsAre(HasSubstr("`eta`")));
  }
  EXPECT_THAT(warnings({{"sampler_name", "Euler a"}, {"eta", 1}}), IsEmpty());
  EXPECT_THAT(warnings({{"sampler_name", "Euler"}, {"eta", 0}}), IsEmpty());
  EXPECT_EQ(text({{"sampler_name", "DDIM"}, {"eta", 0}}).eta, 0.0);
}

// The npm package stable-diffusion-api sends every field.
TEST_F(WebuiRequestTest, AClientThatSendsEverything) {
  const Json body =
      Json::parse(R"({"enable_hr": false, "hr_scale": 2, "hr_upscaler": "Latent", "hr_second_pass_steps": 0,
      "hr_resize_x": 0, "hr_resize_y": 0, "denoising_strength": 0.7, "firstphase_width": 0, "firstphase_height": 0,
      "prompt": "a cat", "styles": [], "seed": 5, "subseed": -1, "subseed_strength": 0, "seed_resize_from_h": 0,
      "seed_resize_from_w": 0, "batch_size": 2, "n_iter": 3, "steps": 20, "cfg_scale": 7, "width": 512, "height": 512,
      "restore_faces": false, "tiling": false, "do_not_save_samples": false, "do_not_save_grid": false,
      "negative_prompt": "dog", "eta": 1, "s_churn": 0, "s_tmax": 0, "s_tmin": 0, "s_noise": 1, "override_settings": {},
      "override_settings_restore_afterwards": true, "script_args": [], "script_name": null, "send_images": true,
      "save_images": false, "alwayson_scripts": {"ControlNet": {"args": []}}, "sampler_name": "Euler a",
      "use_deprecated_controlnet": false, "url": "http://127.0.0.1", "auth": ""})");
  const Request r = text(body);
  EXPECT_EQ(r.seed, 5u);
  EXPECT_EQ(r.batch, 2);
  EXPECT_EQ(r.copies, 2);
  EXPECT_EQ(r.iterations, 3);
  EXPECT_EQ(r.negative_prompt, "dog");
  EXPECT_FALSE(r.eta);  // Euler a has it by itself
  EXPECT_TRUE(r.seamless.empty());
  EXPECT_NO_THROW(CheckedRequest{r});
  EXPECT_EQ(text({{"sampler_name", "DDIM"}, {"eta", 1}}).eta, 1.0);
  EXPECT_EQ(text({{"tiling", true}}).seamless, "xy");
}

TEST_F(WebuiRequestTest, WhatCannotBeDoneIsRefusedByName) {
  const std::pair<const char*, Json> fields[] = {{"restore_faces", true},
                                                 {"s_churn", 0.5},
                                                 {"s_noise", 1.1},
                                                 {"s_min_uncond", 1},
                                                 {"styles", {"oil"}},
                                                 {"script_name", "X/Y/Z plot"},
                                                 {"seed_resize_from_w", 512},
                                                 {"refiner_checkpoint", "other"},
                                                 {"firstphase_width", 64},
                                                 {"firstpass_image", picture()},
                                                 {"init_images", {"AAAA"}},
                                                 {"clip_skip", 2},
                                                 {"disable_extra_networks", true},
                                                 {"token_merging_ratio", 0.5}};
  for (const auto& [name, value] : fields)
    EXPECT_THAT(refused({{name, value}}), HasSubstr("`" + std::string(name) + "`"));
  EXPECT_THAT(refused({{"sampler_name", "Euler a"}, {"eta", 0.5}}), HasSubstr("`eta`"));
  EXPECT_THAT(refused({{"override_settings", {{"CLIP_stop_at_last_layers", 2}}}}),
              HasSubstr("CLIP_stop_at_last_layers"));
  EXPECT_THAT(refused({{"alwayson_scripts", {{"ADetailer", {{"args", {true}}}}}}}), HasSubstr("ADetailer"));
  EXPECT_EQ(refused({{"override_settings", {{"CLIP_stop_at_last_layers", 1}}}, {"anything", {{"else", 1}}}}), "");
}

TEST_F(WebuiRequestTest, TypesAndBoundsAreChecked) {
  const std::pair<const char*, Json> fields[] = {{"prompt", 1},          {"steps", "many"},
                                                 {"steps", 20.5},        {"steps", -1},
                                                 {"steps", 0},           {"batch_size", 1e9},
                                                 {"n_iter", -3},         {"width", 511.5},
                                                 {"cfg_scale", "7x"},    {"seed", -2},
                                                 {"seed", 1.5},          {"seed", "one"},
                                                 {"seed", 1e300},        {"tiling", "yes"},
                                                 {"enable_hr", 2},       {"send_images", "a"},
                                                 {"width", 1e12},        {"subseed_strength", 2},
                                                 {"scheduler", 3},       {"override_settings", "x"},
                                                 {"alwayson_scripts", 1}};
  for (const auto& [name, value] : fields)
    EXPECT_THAT(refused({{name, value}}), HasSubstr("`" + std::string(name) + "`")) << value;
  EXPECT_EQ(refused({{"steps", 20.0}}), "");
  EXPECT_EQ(refused({{"steps", nullptr}}), "");
  EXPECT_THAT(refused({{"batch_size", 1000}, {"n_iter", 1000}}), HasSubstr("`n_iter`"));
  EXPECT_THROW(read_web_body("[]"), Error);
  EXPECT_THROW(read_web_body("{"), Error);
  const std::string large(3 << 20, 'A');  // bare base64 of more than a megabyte
  EXPECT_EQ(read_web_body(R"({"mask": ")" + large + "\"}")["mask"].get<std::string>().size(), large.size());
}

TEST_F(WebuiRequestTest, TextsThatAreNumbersCountAsThose) {
  const Request r = text({{"width", "64"},
                          {"height", "64.0"},
                          {"steps", "20"},
                          {"cfg_scale", "7.5"},
                          {"seed", "18446744073709551615"},
                          {"enable_hr", "false"},
                          {"tiling", "True"},
                          {"restore_faces", "False"},
                          {"s_noise", "1.0"},
                          {"eta", "0"}});
  EXPECT_EQ(r.width, 64);
  EXPECT_EQ(r.height, 64);
  EXPECT_EQ(r.steps, 20);
  EXPECT_EQ(r.scale, 7.5);
  EXPECT_EQ(r.seed, 18446744073709551615u);
  EXPECT_FALSE(r.hires);
  EXPECT_EQ(r.seamless, "xy");
  EXPECT_TRUE(text({{"enable_hr", "true"}}).hires);
  EXPECT_EQ(image({{"resize_mode", "1"}}).resize, "crop");
  const std::pair<const char*, Json> wrong[] = {{"steps", "true"},        {"steps", "20 steps"},     {"steps", ""},
                                                {"seed", "-2"},           {"cfg_scale", "1e999"},    {"tiling", "2"},
                                                {"restore_faces", "yes"}, {"restore_faces", "true"}, {"width", "[64]"}};
  for (const auto& [name, value] : wrong)
    EXPECT_THAT(refused({{name, value}}), HasSubstr("`" + std::string(name) + "`")) << value;
  EXPECT_THAT(refused({{"override_settings", {{"CLIP_stop_at_last_layers", "2"}}}}), HasSubstr("CLIP_stop"));
  EXPECT_EQ(refused({{"override_settings", {{"CLIP_stop_at_last_layers", "1"}}}}), "");
}

TEST_F(WebuiRequestTest, SidesAreRoundedDown) {
  const Json odd{{"width", 515}, {"height", 767}};
  EXPECT_EQ(text(odd).width, 512);
  EXPECT_EQ(text(odd).height, 760);
  EXPECT_NO_THROW(CheckedRequest{text(odd)});
  EXPECT_THAT(warnings(odd), ElementsAre(testing::AllOf(HasSubstr("`width` 515"), HasSubstr("512")),
                                         testing::AllOf(HasSubstr("`height` 767"), HasSubstr("760"))));
  EXPECT_THAT(warnings({{"width", 512}, {"height", 768}}), IsEmpty());
  EXPECT_THAT(refused({{"width", 7}}), HasSubstr("`width`"));
  EXPECT_EQ(image({{"width", 100}}).width, 96);
  // The second pass is as large as it was asked for.
  const auto scale = [&](int width, int height, int x, int y) {
    return text({{"enable_hr", true}, {"width", width}, {"height", height}, {"hr_resize_x", x}, {"hr_resize_y", y}})
        .hires->scale;
  };
  EXPECT_EQ(scale(515, 515, 1024, 0), 2.0);
  EXPECT_EQ(scale(515, 515, 1030, 1030), 2.0);
  const double both = scale(500, 700, 1000, 1400);
  EXPECT_EQ(static_cast<int64_t>(496 * both), 1000);
  EXPECT_EQ(static_cast<int64_t>(696 * both) / 8 * 8, 1400);
  for (const auto& [width, x] : {std::pair(88, 120), {88, 960}, {104, 240}}) {  // quotients that fall short
    EXPECT_EQ(static_cast<int>(width * scale(width, 64, x, 0)), x) << width;
  }
}

TEST_F(WebuiRequestTest, WhoGivesTheSeedsAsksForThePicture) {
  const auto repeats = [&](const Json& body) { return read_txt2img(body, options_).repeats; };
  EXPECT_TRUE(repeats({{"seed", 7}}));
  EXPECT_TRUE(repeats({{"seed", "7"}, {"subseed", -1}}));
  EXPECT_TRUE(repeats({{"seed", 0}, {"subseed", 3}, {"subseed_strength", 0.5}}));
  EXPECT_FALSE(repeats({{"seed", 7}, {"subseed", -1}, {"subseed_strength", 0.5}}));
  EXPECT_FALSE(repeats({{"seed", -1}}));
  EXPECT_FALSE(repeats({{"prompt", "a cat"}}));
  EXPECT_TRUE(read_img2img({{"seed", 7}, {"init_images", {picture()}}}, options_).repeats);
}

TEST_F(WebuiRequestTest, HiresIsASecondPass) {
  const Request r = text({{"enable_hr", true},
                          {"width", 512},
                          {"height", 256},
                          {"hr_resize_x", 1024},
                          {"hr_upscaler", "Latent (nearest-exact)"},
                          {"denoising_strength", 0.4},
                          {"hr_second_pass_steps", 9},
                          {"hr_sampler_name", "DPM++ 2M"},
                          {"hr_scheduler", "Use same scheduler"},
                          {"hr_prompt", "a large cat"},
                          {"hr_cfg", 3}});
  ASSERT_TRUE(r.hires);
  EXPECT_EQ(r.hires->scale, 2.0);
  EXPECT_EQ(r.hires->upscaler, "latent-nearest-exact");
  EXPECT_EQ(r.hires->strength, 0.4);
  EXPECT_EQ(r.hires->steps, 9);
  EXPECT_EQ(r.hires->sampler, "dpmpp_2m");
  EXPECT_EQ(r.hires->schedule, "karras");
  EXPECT_EQ(r.hires->prompt, "a large cat");
  EXPECT_FALSE(r.hires->negative_prompt);
  EXPECT_EQ(r.hires->guidance, 3.0);
  EXPECT_NO_THROW(CheckedRequest{r});
  const Request plain = text({{"enable_hr", true}});
  EXPECT_EQ(plain.hires->scale, 2.0);
  EXPECT_EQ(plain.hires->upscaler, "latent");
  EXPECT_EQ(plain.hires->strength, 0.75);
  EXPECT_FALSE(plain.hires->sampler);
  EXPECT_EQ(text({{"enable_hr", true}, {"hr_upscaler", "None"}}).hires->upscaler, "lanczos");
  EXPECT_EQ(text({{"enable_hr", true}, {"hr_upscaler", "4x-sharp"}}).hires->upscaler, "4x-sharp");
  EXPECT_THAT(refused({{"enable_hr", true}, {"hr_resize_x", 1024}, {"hr_resize_y", 512}}), HasSubstr("proportions"));
  EXPECT_THAT(refused({{"enable_hr", true}, {"hr_checkpoint_name", "other"}}), HasSubstr("hr_checkpoint_name"));
  EXPECT_EQ(refused({{"hr_checkpoint_name", "other"}}), "");  // without a second pass of no effect
}

TEST_F(WebuiRequestTest, PicturesComeWholeOrNotAtAll) {
  const Request r = image({{"denoising_strength", 0.5}, {"resize_mode", 1}});
  EXPECT_EQ(r.init, "data:image/png;base64," + picture());
  EXPECT_EQ(r.strength, 0.5);
  EXPECT_EQ(r.convention, "webui");
  EXPECT_EQ(r.resize, "crop");
  EXPECT_EQ(r.width, 512);
  EXPECT_TRUE(r.mask.empty());
  EXPECT_FALSE(r.mask_padding);
  EXPECT_NO_THROW(CheckedRequest{r});
  EXPECT_EQ(image({{"init_images", {"data:image/jpeg;base64," + picture()}}}).init, r.init);
  EXPECT_EQ(image({}).strength, 0.75);
  EXPECT_EQ(image({}).resize, "stretch");
  for (const char* wrong :
       {"http://127.0.0.1/x.png", "HTTPS://example.org", "file:///etc/passwd", "data:image/png,xyz", "not base64!", ""})
    EXPECT_THAT(refused_image({{"init_images", {wrong}}}), HasSubstr("init_images")) << wrong;
  EXPECT_THAT(refused_image({{"init_images", {"http://127.0.0.1/x.png"}}}), HasSubstr("nothing is fetched"));
  EXPECT_THAT(refused_image({{"init_images", {picture(), picture()}}}), HasSubstr("one picture"));
  EXPECT_THAT(refused_image({{"init_images", Json::array()}}), HasSubstr("init_images"));
  EXPECT_THAT(refused_image({{"resize_mode", 3}}), HasSubstr("`resize_mode`"));
  EXPECT_THAT(refused_image({{"enable_hr", true}}), HasSubstr("txt2img"));
}

TEST_F(WebuiRequestTest, Masks) {
  const Request plain = image({{"mask", picture()}});
  EXPECT_EQ(plain.mask_content, "fill");
  EXPECT_EQ(plain.mask_blur, 4);
  EXPECT_EQ(plain.mask_padding, 0);
  EXPECT_FALSE(plain.mask_invert);
  const Request r = image({{"mask", "data:image/png;base64," + picture()},
                           {"inpainting_fill", 2},
                           {"inpaint_full_res", false},
                           {"inpainting_mask_invert", 1},
                           {"mask_blur", 0}});
  EXPECT_EQ(r.mask_content, "noise");
  EXPECT_EQ(r.mask_blur, 0);
  EXPECT_FALSE(r.mask_padding);
  EXPECT_TRUE(r.mask_invert);
  EXPECT_EQ(image({{"mask", picture()}, {"inpaint_full_res_padding", 32}}).mask_padding, 32);
  EXPECT_THAT(refused_image({{"mask", picture()}, {"inpainting_fill", 4}}), HasSubstr("`inpainting_fill`"));
  EXPECT_THAT(refused_image({{"mask", picture()}, {"mask_blur_x", 1}}), HasSubstr("`mask_blur_x`"));
  EXPECT_THAT(refused_image({{"mask", "http://x"}}), HasSubstr("`mask`"));
}

TEST_F(WebuiRequestTest, TheEchoHasNoPictures) {
  Json body{{"alwayson_scripts", {{"controlnet", {{"args", {{{"image", picture()}, {"model", "edges"}}}}}}}}};
  body["init_images"] = {picture()};
  body["mask"] = picture();
  body["inpaint_full_res"] = false;
  body["steps"] = 3;
  const WebEcho echo = read_img2img(body, options_).echo;
  EXPECT_EQ(echo.parameters.dump().find(picture()), std::string::npos);
  EXPECT_TRUE(echo.parameters.at("init_images").is_null());
  EXPECT_EQ(echo.parameters.at("steps"), 3);
  EXPECT_TRUE(echo.send_images);
  body["include_init_images"] = true;
  EXPECT_EQ(read_img2img(body, options_).echo.parameters.at("init_images").at(0), picture());
  EXPECT_THAT(read_txt2img({{"prompt", "a cat AND a dog, [red:blue:0.5]"}}, options_).echo.warnings,
              testing::Contains(HasSubstr("AND")));
  EXPECT_THAT(read_txt2img({{"prompt", "(a cat:1.2) BREAK [dog]"}}, options_).echo.warnings, IsEmpty());
}

TEST_F(WebuiRequestTest, OptionsHoldForAllRequestsAndOverridesForOne) {
  const std::string name = shelf_.name_of("");
  const auto submitted = [&](const Json& body) { return read_txt2img(body, options_).submission; };
  EXPECT_EQ(submitted({}).model, name);
  EXPECT_TRUE(submitted({}).previews);
  EXPECT_EQ(submitted({{"override_settings", {{"sd_vae", "soft.safetensors"}}}}).vae, "soft");
  EXPECT_EQ(submitted({{"override_settings", {{"sd_vae", "None"}}}}).vae, "own");
  EXPECT_EQ(submitted({{"override_settings", {{"randn_source", "CPU"}}}}).request.rng, "cpu");
  EXPECT_EQ(submitted({}).vae, "");
  Json all = options_.get();
  EXPECT_EQ(all.at("sd_model_checkpoint"), name);
  EXPECT_EQ(all.at("sd_vae"), "Automatic");
  EXPECT_EQ(all.at("samples_format"), "png");
  EXPECT_EQ(all.at("CLIP_stop_at_last_layers"), 1);
  options_.set(all);  // Open WebUI sends the whole dictionary back
  EXPECT_EQ(options_.get(), all);
  options_.set({{"sd_model_checkpoint", name + " [6ce0161689]"}, {"sd_vae", "soft"}, {"unheard_of", {1, 2}}});
  EXPECT_EQ(options_.get().at("sd_model_checkpoint"), name);
  EXPECT_EQ(options_.get().at("unheard_of"), Json({1, 2}));
  EXPECT_EQ(submitted({}).vae, "soft");
  const auto refuse = [&](const Json& options) { return sentence([&] { options_.set(options); }); };
  EXPECT_THAT(refuse({{"sd_model_checkpoint", "nowhere"}}), HasSubstr(name));
  EXPECT_NE(refuse({{"sd_vae", "nowhere"}}), "");
  EXPECT_THAT(refuse({{"sd_vae", "Automatic"}, {"eta_noise_seed_delta", 31337}}), HasSubstr("eta_noise_seed_delta"));
  EXPECT_EQ(submitted({}).vae, "soft");  // all or nothing
  EXPECT_NE(refuse({{"large", std::string(300 << 10, 'x')}}), "");
  Json many;
  for (int i = 0; i < 3000; ++i) many["option" + std::to_string(i)] = i;
  EXPECT_NE(refuse(many), "");
}

TEST_F(WebuiRequestTest, OverridesAreKeptWhereTheClientSaysSo) {
  const auto then = [&](const Json& restore) {
    Json body{{"override_settings", {{"sd_vae", "soft"}, {"unheard_of", 1}}}};
    if (!restore.is_null()) body["override_settings_restore_afterwards"] = restore;
    return read_txt2img(body, options_).options_then;
  };
  EXPECT_FALSE(then(nullptr));
  EXPECT_FALSE(then(true));
  EXPECT_TRUE(then("false"));
  const Json before = options_.get();
  auto state = then(false);
  ASSERT_TRUE(state);
  EXPECT_EQ(options_.get(), before);  // nothing yet
  options_.put(*state);
  EXPECT_EQ(options_.get().at("sd_vae"), "soft");
  EXPECT_EQ(options_.get().at("unheard_of"), 1);
}

TEST_F(WebuiRequestTest, OptionsThatSayNothingAreNotKept) {
  options_.set({{"unheard_of", 5}});
  options_.set({{"unheard_of", nullptr}, {"never_heard_of", nullptr}, {"samples_format", nullptr}});
  EXPECT_EQ(options_.get().at("unheard_of"), 5);
  EXPECT_FALSE(options_.get().contains("never_heard_of"));
  EXPECT_EQ(options_.get().at("samples_format"), "png");
}

TEST(WebuiWords, FieldsHaveTheNamesThatClientsKnow) {
  EXPECT_EQ(in_web_words("the `strength` of `hires` must be above 0; `hires` and `mask`"),
            "the `denoising_strength` must be above 0; `enable_hr` and `mask`");
  EXPECT_EQ(in_web_words("the guidance `scale`, the `scale` of `hires` and `scale`"),
            "the `cfg_scale`, the `hr_scale` and `cfg_scale`");
  EXPECT_EQ(in_web_words("`init` is no picture; `init_images`, init and `steps`"),
            "`init_images` is no picture; `init_images`, init and `steps`");
  EXPECT_EQ(in_web_words("(`mask_invert` turns it round)"), "(`inpainting_mask_invert` turns it round)");
}

TEST_F(WebuiRequestTest, Upscaling) {
  const auto asked = [](const Json& change) {
    Json body{{"image", picture()}, {"upscaler_1", "Lanczos"}};
    body.update(change);
    return read_extra_image(body).upscaling.value();
  };
  const Upscaling by = asked({{"upscaling_resize", 3}});
  EXPECT_EQ(by.picture, "data:image/png;base64," + picture());
  EXPECT_EQ(by.upscaler, "lanczos");
  EXPECT_EQ(by.scale, 3.0);
  EXPECT_EQ(by.width, 0);
  const Upscaling to = asked({{"resize_mode", 1}, {"upscaling_resize_w", 100}, {"upscaling_crop", false}});
  EXPECT_EQ(to.width, 100);
  EXPECT_EQ(to.height, 512);
  EXPECT_FALSE(to.crop);
  EXPECT_EQ(asked({{"upscaler_1", "None"}}).scale, 1.0);
  EXPECT_EQ(asked({{"upscaler_1", "4x-sharp"}}).upscaler, "4x-sharp");
  const auto refuse = [&](const Json& change) { return sentence([&] { asked(change); }); };
  EXPECT_EQ(refuse({{"upscaler_2", "None"}, {"gfpgan_visibility", 0}, {"codeformer_weight", 0.5}}), "");
  EXPECT_THAT(refuse({{"upscaler_2", "Lanczos"}, {"extras_upscaler_2_visibility", 0.5}}), HasSubstr("`upscaler_2`"));
  EXPECT_THAT(refuse({{"gfpgan_visibility", 1}}), HasSubstr("`gfpgan_visibility`"));
  EXPECT_THAT(refuse({{"resize_mode", 2}}), HasSubstr("`resize_mode`"));
  EXPECT_THAT(refuse({{"upscaling_resize", 0}}), HasSubstr("`upscaling_resize`"));
  EXPECT_THAT(refuse({{"upscaler_1", "Latent"}}), HasSubstr("`upscaler_1`"));
  EXPECT_THAT(refuse({{"image", "http://x/y.png"}}), HasSubstr("nothing is fetched"));
  const Json batch{{"upscaler_1", "Nearest"}, {"imageList", {{{"data", picture()}, {"name", "a"}}}}};
  EXPECT_EQ(read_extra_batch(batch).upscaling->upscaler, "nearest");
}

}  // namespace
}  // namespace sumi::app
