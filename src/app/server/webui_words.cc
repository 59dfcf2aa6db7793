#include "app/server/webui_words.h"

#include <string_view>

namespace sumi::app {
namespace {

struct Word {
  std::string_view own, web;
};
// The longer ones before those that they contain. No name of the web UI's, in backquotes, is on the left.
constexpr Word kWords[] = {{"`scale` of `hires`", "`hr_scale`"},
                           {"`steps` of `hires`", "`hr_second_pass_steps`"},
                           {"`strength` of `hires`", "`denoising_strength`"},
                           {"`guidance` of `hires`", "`hr_cfg`"},
                           {"`prompt` of `hires`", "`hr_prompt`"},
                           {"`hires`", "`enable_hr`"},
                           {"`strength`", "`denoising_strength`"},
                           {"guidance `scale`", "`cfg_scale`"},
                           {"`scale`", "`cfg_scale`"},
                           {"`sampler`", "`sampler_name`"},
                           {"`schedule`", "`scheduler`"},
                           {"`prompts`", "`prompt`"},
                           {"`batch`", "`batch_size`"},
                           {"`copies`", "`batch_size`"},
                           {"`iterations`", "`n_iter`"},
                           {"`rng`", "`randn_source`"},
                           {"`seamless`", "`tiling`"},
                           {"`init`", "`init_images`"},
                           {"`picture`", "`image`"},
                           {"`resize`", "`resize_mode`"},
                           {"`mask_invert`", "`inpainting_mask_invert`"},
                           {"`mask_content`", "`inpainting_fill`"},
                           {"`mask_padding`", "`inpaint_full_res_padding`"},
                           {"`controls`", "units of ControlNet"},
                           {"`guess_mode`", "`control_mode`"},
                           {"`preprocess`", "`module`"},
                           {"`start`", "`guidance_start`"},
                           {"`end`", "`guidance_end`"}};

}  // namespace

std::string in_web_words(std::string sentence) {
  for (const auto& [own, web] : kWords) {
    for (size_t at = sentence.find(own); at != std::string::npos; at = sentence.find(own, at + web.size()))
      sentence.replace(at, own.size(), web);
  }
  return sentence;
}

}  // namespace sumi::app
