#include "app/server/webui_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/server/webui_fields.h"
#include "app/server/webui_info.h"
#include "base/base64.h"
#include "base/check.h"
#include "image/png.h"
#include "tests/support/tiny_engine.h"

namespace sumi::app {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string picture() { return base64_of(image::encode_png(Image(8, 8))); }

class WebuiRequestTest : public testing::Test {
 protected:
  WebuiRequestTest() { test::write_file(folder_ / "vae/soft.safetensors", "x"); }

  Request text(const Json& body) const { return read_txt2img(body, options_).submission.request; }
  Request image(Json body) const {
    if (!body.contains("init_images")) body["init_images"] = {picture()};
    return read_img2img(body, options_).submission.request;
  }
  // The sentence with which `call` is refused; empty: it is not.
  template <class Call> static std::string sentence(const Call& call) {
    try {
      call();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.what();
    }
    return "";
  }
  std::string refused(const Json& body) const {
    return sentence([&] { text(body); });
  }
  std::string refused_image(const Json& body) const {
    return sentence([&] { image(body); });
  }

  const test::TempFolder folder_;
  const Shelf shelf_{{.threads = 1}, {test::tiny_options(folder_.path())}};
  const Library library_{{folder_.path()}};
  WebOptions options_{shelf_, library_};
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
  const std::pair<const char*, Json> fields[] = {
      {"prompt", 1},          {"steps", "20"}, {"steps", 20.5},         {"steps", -1},      {"steps", 0},
      {"batch_size", 1e9},    {"n_iter", -3},  {"width", 511.5},        {"cfg_scale", "7"}, {"seed", -2},
      {"seed", 1.5},          {"seed", "1"},   {"seed", 1e300},         {"tiling", "yes"},  {"enable_hr", 2},
      {"send_images", "a"},   {"width", 1e12}, {"subseed_strength", 2}, {"scheduler", 3},   {"override_settings", "x"},
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

Json units(const Json& unit) { return {{"alwayson_scripts", {{"controlnet", {{"args", {unit}}}}}}}; }

TEST_F(WebuiRequestTest, ControlNetUnits) {
  const Request r = text(units({{"input_image", picture()},
                                {"module", "canny"},
                                {"model", "edges [d14c016b]"},
                                {"weight", 0.5},
                                {"resize_mode", "Scale to Fit (Inner Fit)"},
                                {"guidance_start", 0.1},
                                {"guidance_end", 0.8},
                                {"pixel_perfect", true},
                                {"control_mode", "ControlNet is more important"}}));
  ASSERT_EQ(r.controls.size(), 1u);
  EXPECT_EQ(r.controls[0].model, "edges");
  EXPECT_EQ(r.controls[0].image, "data:image/png;base64," + picture());
  EXPECT_EQ(r.controls[0].weight, 0.5);
  EXPECT_EQ(r.controls[0].start, 0.1);
  EXPECT_EQ(r.controls[0].end, 0.8);
  EXPECT_EQ(r.controls[0].preprocess, "canny");
  EXPECT_TRUE(r.guess_mode);
  EXPECT_EQ(r.resize, "crop");
  EXPECT_THAT(text(units({{"enabled", false}, {"module", "depth"}})).controls, IsEmpty());
  const Request from_init = image(units({{"model", "edges"}}));  // follows the picture that it begins from
  EXPECT_EQ(from_init.controls.at(0).image, from_init.init);
  EXPECT_EQ(from_init.resize, "stretch");
  const auto refuse = [&](const Json& change) {
    Json unit{{"image", picture()}, {"model", "edges"}};
    unit.update(change);
    return refused(units(unit));
  };
  EXPECT_EQ(refuse({{"module", "none"}, {"threshold_a", 64}, {"processor_res", 64}}), "");
  EXPECT_THAT(refuse({{"module", "depth_midas"}}), HasSubstr("`module`"));
  EXPECT_THAT(refuse({{"module", "canny"}, {"threshold_a", 64}}), HasSubstr("`threshold_a`"));
  EXPECT_THAT(refuse({{"control_mode", 1}}), HasSubstr("`control_mode`"));
  EXPECT_THAT(refuse({{"mask", picture()}}), HasSubstr("`mask`"));
  EXPECT_THAT(refuse({{"model", "None"}}), HasSubstr("`model`"));
  EXPECT_THAT(refuse({{"image", "https://x"}}), HasSubstr("nothing is fetched"));
  EXPECT_THAT(refuse({{"resize_mode", 3}}), HasSubstr("`resize_mode`"));
}

TEST_F(WebuiRequestTest, TheEchoHasNoPictures) {
  Json body = units({{"image", picture()}, {"model", "edges"}});
  body["init_images"] = {picture()};
  body["mask"] = picture();
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
