// The settings text of a picture, read back by the rules of A1111's web UI.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "diffusion/sampler.h"
#include "engine/resolve.h"
#include "tests/support/infotext_readers.h"

namespace sumi::engine {
namespace {

const std::vector<std::string> kWebSamplers{"DPM++ 2M",   "DPM++ SDE",    "DPM++ 2M SDE", "DPM++ 2M SDE Heun",
                                            "DPM++ 2S a", "DPM++ 3M SDE", "Euler a",      "Euler",
                                            "LMS",        "Heun",         "DPM2",         "DPM2 a",
                                            "DPM fast",   "DPM adaptive", "Restart",      "DDIM",
                                            "DDIM CFG++", "PLMS",         "UniPC",        "LCM"};
const std::vector<std::string> kWebSchedules{"Automatic",       "Uniform",     "Karras",     "Exponential",
                                             "Polyexponential", "SGM Uniform", "KL Optimal", "Align Your Steps",
                                             "Simple",          "Normal",      "DDIM",       "Beta"};

template <class List> bool contains(const List& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

// A name that ends in a schedule's is taken for both; unknown names become the first sampler, and Automatic.
std::pair<std::string, std::string> chosen(std::map<std::string, std::string> fields) {
  std::string sampler = fields["Sampler"];
  std::string schedule = contains(kWebSchedules, fields["Schedule type"]) ? fields["Schedule type"] : "Automatic";
  for (const std::string& one : kWebSchedules) {
    if (!sampler.ends_with(" " + one)) continue;
    schedule = one;
    sampler.resize(sampler.size() - one.size() - 1);
    break;
  }
  return {contains(kWebSamplers, sampler) ? sampler : kWebSamplers[0], schedule};
}

TEST(Parameters, AreReadBackByTheWebUi) {
  int named = 0;
  for (const diffusion::Sampler& sampler : Registry<diffusion::Sampler>::instance().entries()) {
    for (const std::string& schedule : sampler.schedules) {
      const Settings settings{.model = "models/sd-v1-4.ckpt",
                              .width = 64,
                              .height = 64,
                              .sampler = sampler.name,
                              .schedule = schedule,
                              .steps = 20,
                              .scale = 7.5,
                              .seed = 3,
                              .rng = "cpu"};
      const std::string text = parameters_of(settings, "a: b, c\nd", 3, -1);
      const test::Infotext read = test::read_as_web_ui(text), civitai = test::read_as_civitai(text);
      const auto& fields = read.fields;
      EXPECT_EQ(read.prompt, "a: b, c\nd");
      EXPECT_EQ(civitai.prompt, "a: b, c\nd");
      for (const char* key : {"Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Model", "RNG"})
        EXPECT_EQ(civitai.fields.at(key), fields.at(key)) << key;
      EXPECT_EQ(civitai.fields.at("Size"), "64x64");
      EXPECT_EQ(fields.at("Size-1"), "64");
      EXPECT_EQ(fields.at("RNG"), "CPU");
      EXPECT_EQ(fields.at("Steps"), "20");
      EXPECT_EQ(fields.at("Seed"), "3");
      EXPECT_EQ(fields.at("Model"), "sd-v1-4");
      const auto [web_sampler, web_schedule] = chosen(fields);
      const std::string own = diffusion::web_name_of_sampler(sampler.name);
      if (!contains(kWebSamplers, own)) continue;  // the web UI has none like it
      ++named;
      EXPECT_EQ(web_sampler, own) << sampler.name;
      // What it chose means the same here: sumi would draw with the same two.
      const std::string back = diffusion::resolve_sampler(web_sampler, nullptr);
      EXPECT_EQ(back, sampler.name);
      if (web_schedule != "Automatic") {
        EXPECT_EQ(diffusion::resolve_schedule(web_schedule, back), schedule);
      }
    }
  }
  EXPECT_GE(named, 40);
}

TEST(Parameters, WebNamesOfSchedulesMeanWhatTheyMeanThere) {
  const auto resolved = [](const std::string& sampler, const std::optional<std::string>& schedule) {
    const ParsedRequest parsed = parse_request({.prompts = {"x"}, .sampler = sampler, .schedule = schedule});
    return parsed.sampler + " " + parsed.schedule;
  };
  EXPECT_EQ(resolved("DPM++ 2M", "Uniform"), "dpmpp_2m discrete");
  EXPECT_EQ(resolved("DPM++ 2M", "uniform"), "dpmpp_2m uniform");  // the original's
  EXPECT_EQ(resolved("DPM++ 2M", "Automatic"), "dpmpp_2m karras");
  EXPECT_EQ(resolved("DPM++ 2M SDE", "Automatic"), "dpmpp_2m_sde exponential");
  EXPECT_EQ(resolved("Euler a", "automatic"), "euler_ancestral discrete");
  EXPECT_EQ(resolved("DDIM", "Uniform"), "ddim uniform");
  EXPECT_EQ(resolved("DDIM", "Automatic"), "ddim uniform");
  EXPECT_EQ(resolved("Euler", "DDIM"), "euler uniform");
  EXPECT_EQ(resolved("Euler", "Normal"), "euler discrete");
  EXPECT_EQ(resolved("Heun", "Polyexponential"), "heun exponential");
  EXPECT_EQ(resolved("DPM++ 2M Karras", std::nullopt), "dpmpp_2m karras");
  EXPECT_EQ(resolved("DPM++ 2M SDE Exponential", std::nullopt), "dpmpp_2m_sde exponential");
  EXPECT_EQ(resolved("DPM++ 2M Karras", "Karras"), "dpmpp_2m karras");
  EXPECT_THROW(resolved("Euler", "KL Optimal"), Error);
  EXPECT_THROW(resolved("Euler a KL Optimal", std::nullopt), Error);
}

}  // namespace
}  // namespace sumi::engine
