#include "train/picture_batches.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/rng.h"
#include "image/convert.h"
#include "image/read.h"
#include "image/resize.h"

namespace sumi::train {

PictureBatches::PictureBatches(std::vector<Example> examples, const PictureBatchOptions& options)
    : examples_(std::move(examples)), options_(options) {}

// The shorter side scaled to `size`, then the square; chances: two for its place, one for the mirror.
image::Image PictureBatches::cut(const image::Image& picture, const float* chances) const {
  const int64_t crop = options_.crop > 0 ? options_.crop : options_.size;
  image::Image square;
  if (options_.crop == 0) {
    square = image::resize_to_cover(picture, crop, crop);
  } else {
    const int64_t shorter = std::min(picture.width, picture.height);
    const auto scaled = [&](int64_t side) {
      return std::max(options_.size, (side * options_.size + shorter / 2) / shorter);
    };
    const image::Image whole =
        shorter == options_.size ? picture : image::resize(picture, scaled(picture.width), scaled(picture.height));
    const auto place = [&](int64_t side, float chance) {
      return std::min(static_cast<int64_t>(chance * static_cast<float>(side - crop + 1)), side - crop);
    };
    square = image::crop(whole, place(whole.width, chances[0]), place(whole.height, chances[1]), crop, crop);
  }
  return options_.flip && chances[2] < 0.5f ? image::mirrored(square) : square;
}

PictureBatches::Batch PictureBatches::load(int64_t number, std::set<int64_t> broken) const {
  const auto count = static_cast<int64_t>(examples_.size());
  ExampleOrder order(count, options_.seed);
  TorchCpuGenerator generator(stream_seed(options_.seed, Stream::kPictures, number));
  const BatchShare& share = options_.share;
  std::vector<float> chances(static_cast<size_t>(3 * share.all));
  generator.rand(chances);
  Batch batch{.number = number, .pictures = {}, .broken = {}};
  std::vector<image::Image> pictures;
  for (int64_t i = share.begin; i < share.begin + share.count; ++i) {
    int64_t index = order(number * share.all + i);
    while (true) {
      SUMI_CHECK_KIND(kNoInput, static_cast<int64_t>(broken.size()) < count, "none of the {} pictures could be read",
                      count);
      try {
        if (!broken.contains(index)) {
          pictures.push_back(cut(image::read_picture(examples_[static_cast<size_t>(index)].picture),
                                 &chances[static_cast<size_t>(3 * i)]));
          break;
        }
      } catch (const Error& error) {
        broken.insert(index);
        batch.broken.emplace_back(index, error.what());
      }
      index = (index + 1) % count;
    }
  }
  batch.pictures = image::from_images(pictures);
  return batch;
}

Tensor PictureBatches::operator()(int64_t number) {
  const auto begin = [&](int64_t which) {
    next_number_ = which;
    next_ = std::async(std::launch::async, [this, which, broken = broken_] { return load(which, broken); });
  };
  if (next_number_ != number) begin(number);
  const Batch batch = next_.get();
  for (const auto& [index, why] : batch.broken) {
    broken_.insert(index);
    warn("left out: {}", why);
  }
  begin(number + 1);
  return batch.pictures;
}

}  // namespace sumi::train
