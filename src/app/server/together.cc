#include "app/server/together.h"

#include <nlohmann/json.hpp>

#include "api/json.h"
#include "app/server/submission.h"
#include "io/json_text.h"

namespace sumi::app {
namespace {

constexpr const char* kByPicture = "picture";

int64_t copies_of(const Request& r) { return r.copies.value_or(1) * r.iterations.value_or(1); }

bool names_lora(const std::string& prompt) { return prompt.find('<') != std::string::npos; }

}  // namespace

std::string together_key(const Submission& submission, const std::string& model) {
  const Request& r = submission.request;
  const bool pictures = !r.init.empty() || !r.mask.empty() || !r.controls.empty();
  const bool varied = r.subseed || r.subseed_strength || !r.seeds.empty() || r.fixed_noise || r.share_of != 1;
  if (submission.upscaling || pictures || varied || r.prompts.empty() || !r.seed) return {};
  // In this order pictures are numbered whatever the batch is.
  if (r.prompts.size() > 1 && copies_of(r) > 1) return {};
  const bool alone = r.prompts.size() == 1 && copies_of(r) == 1;
  if (!alone && r.seeding.value_or("run") != kByPicture) return {};
  for (const std::string& prompt : r.prompts) {
    if (names_lora(prompt)) return {};  // all prompts of a request must name the same
  }
  Request common = r;
  common.prompts = {""};
  common.seed.reset();
  common.seeding = kByPicture;
  common.copies.reset();
  common.iterations.reset();
  common.batch.reset();
  return model + "\n" + submission.vae + "\n" + api::to_json(common);
}

Submission joined(const std::vector<const Submission*>& all) {
  Submission out = *all.front();
  Request& r = out.request;
  r.prompts.clear();
  r.seed.reset();
  r.seeding = kByPicture;
  r.copies.reset();
  r.iterations.reset();
  for (const Submission* one : all) {
    const std::vector<std::string>& prompts = one->request.prompts;
    for (int64_t i = 0; i < pictures_of(*one); ++i) {
      r.prompts.push_back(prompts.size() == 1 ? prompts[0] : prompts[static_cast<size_t>(i)]);
      r.seeds.push_back(*one->request.seed + static_cast<uint64_t>(i));
    }
    out.previews |= one->previews;
  }
  r.batch = static_cast<int64_t>(r.prompts.size());
  return out;
}

std::string settings_of_one(const std::string& settings, const Submission& submission) {
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(settings);
  json["seed"] = *submission.request.seed;
  json["seeding"] = submission.request.seeding.value_or("run");
  json["pictures"] = pictures_of(submission);
  json["batch"] = submission.request.batch.value_or(1);
  json.erase("seeds");
  return io::json_line(json);
}

}  // namespace sumi::app
