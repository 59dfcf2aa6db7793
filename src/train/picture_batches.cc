#include "train/picture_batches.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/rng.h"
#include "image/convert.h"
#include "image/resize.h"

namespace sumi::train {

PictureBatches::PictureBatches(std::vector<Example> examples, const PictureBatchOptions& options)
    : examples_(std::move(examples)), options_(options) {}

// The training square. chances: two for its position, one for mirroring.
image::Image PictureBatches::cut(const image::Image& picture, const float* chances) const {
  Cut cut{.size = options_.size, .side = options_.crop};
  if (options_.crop > 0) {
    cut.across = chances[0];
    cut.down = chances[1];
  }
  const image::Image square = cut_square(picture, cut);
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
      if (!broken.contains(index)) {
        const LoadedPicture loaded = load_picture(examples_[static_cast<size_t>(index)], options_.background);
        if (!loaded.broken) {
          pictures.push_back(cut(loaded.picture, &chances[static_cast<size_t>(3 * i)]));
          break;
        }
        broken.insert(index);
        batch.broken.emplace_back(index, loaded.why);
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
  check_broken(skipped(), static_cast<int64_t>(examples_.size()));
  begin(number + 1);
  return batch.pictures;
}

}  // namespace sumi::train
