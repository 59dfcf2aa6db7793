#include "evaluate/draw.h"

namespace sumi::evaluate {

void draw_all(const models::StableDiffusion& model, const text::ClipTokenizer& tokenizer,
              const std::vector<std::string>& prompts, engine::Txt2ImgRequest request, int64_t batch,
              const std::function<void(size_t number, image::Image picture)>& take, const std::atomic<bool>* cancel) {
  request.batches = engine::chunk_prompts(prompts, batch);
  request.n_iter = 1;
  engine::txt2img(
      model, tokenizer, request,
      {.on_picture =
           [&](engine::Picture&& picture) { take(static_cast<size_t>(picture.number), std::move(picture.image)); },
       .cancel = cancel});
}

}  // namespace sumi::evaluate
