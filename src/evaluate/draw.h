// Pictures of many prompts, for evaluation.
#pragma once

#include <functional>

#include "engine/txt2img.h"

namespace sumi::evaluate {

// Draws one picture of each prompt with the settings of `request`, `batch` at a time, and passes each on with its
// number. Throws as engine::txt2img does.
void draw_all(const models::StableDiffusion& model, const text::ClipTokenizer& tokenizer,
              const std::vector<std::string>& prompts, engine::Txt2ImgRequest request, int64_t batch,
              const std::function<void(size_t number, image::Image picture)>& take,
              const std::atomic<bool>* cancel = nullptr);

}  // namespace sumi::evaluate
