// The options about pictures that are given, and about what is made of them: those of the short form, img2img, txt2img.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sumi/request.h"

namespace sumi::app {

// `init`, `mask`, `extend`, `hires`, `controls`, `seamless`, `safety_checker` and `watermark` may be "off": without it,
// also where a picture for --like has it.
struct PictureFlags {
  std::string init, mask;
  std::optional<double> strength, subseed_strength;
  std::optional<std::string> resize, background, convention, mask_content, extend, seamless;
  bool mask_invert = false, only_masked = false, guess_mode = false;
  std::optional<int64_t> mask_blur, mask_padding;
  std::optional<std::string> hires;
  std::optional<double> hires_strength, hires_scale;
  std::optional<int64_t> hires_steps;
  std::optional<std::string> hires_upscaler, hires_sampler, hires_schedule, hires_prompt, hires_negative_prompt;
  std::vector<std::string> controls;  // MODEL:IMAGE[:WEIGHT[:START[:END]]]
  std::optional<std::string> control_preprocess, subseed;
  std::optional<std::string> safety_checker, watermark;
};

// `init_name`: how the option for the first picture is spelled.
void add_picture_flags(CLI::App& app, PictureFlags& flags, const std::string& init_name = "--init,--init-img");

// Fills the request; throws Error(kUsage) for a value that cannot be read. `init` and `mask` that are folders or
// patterns are left to pictures_of.
void apply_picture_flags(const PictureFlags& flags, Request& request);

// Takes out of the settings of a picture for --like what the command line turns off.
void drop_what_is_off(const PictureFlags& flags, Request& like);

// Fills in what belongs to a part of the request that may also come from a picture for --like: to its second pass, its
// controls, its mask. Call it once that was taken. Throws Error(kUsage) where the request has no such part.
void apply_dependent_flags(const PictureFlags& flags, Request& request);

// The picture to begin from, as it was named; empty where none is, or "off".
std::string init_of(const PictureFlags& flags);

// MODEL:IMAGE[:WEIGHT[:START[:END]]]; a path may have colons where the part before one is no file.
Control parse_control(const std::string& text);

// One picture to begin from, and its mask (empty: none).
struct InitPicture {
  std::filesystem::path init, mask;
};
// What --init and --mask name: one picture; or all pictures of a folder, or those that a pattern with * and ? in its
// last part matches, in the order of their names, each with the mask of its name (with any picture's ending) where
// --mask is a folder. Throws Error(kNoInput) where there are none, or a picture has no mask.
std::vector<InitPicture> pictures_of(const PictureFlags& flags);
// Whether they are given as a folder or pattern: then several pictures are written.
bool gives_several(const PictureFlags& flags);

}  // namespace sumi::app
