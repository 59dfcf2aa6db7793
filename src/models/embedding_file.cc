#include "models/embedding_file.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "base/text_util.h"
#include "models/loading/bind.h"
#include "ops/layout.h"

namespace sumi::models {
namespace {

constexpr int64_t kMostVectors = 1024;
constexpr size_t kMostWords = 1000;
constexpr std::string_view kParameters = "string_to_param.";

std::string shown(const std::string& name) { return shorten(strip_control(name), 100); }

bool is_vectors(const io::TensorInfo& info) {
  return is_floating(info.dtype) && (info.shape.rank() == 1 || info.shape.rank() == 2);
}

// Names that have one meaning wherever they stand: the word is the file's name.
bool is_unnamed(const std::string& name) {
  return name == "emb_params" || name == "clip_l" || name == "clip_g" || name.starts_with(kParameters);
}

Tensor read_vectors(const io::Checkpoint& file, const io::TensorInfo& info, int64_t width) {
  const std::string path = file.path().string();
  SUMI_CHECK(is_vectors(info), "{}: \"{}\" {} of type {} is no vectors of an embedding: a row or rows of fractions",
             path, shown(info.name), info.shape.str(), name_of(info.dtype));
  const int64_t count = info.shape.rank() == 1 ? 1 : info.shape[0], own = info.shape[-1];
  SUMI_CHECK(
      own == width,
      "{}: its vectors \"{}\" are {} wide, and the model's text encoder takes {}; it is for another family of models",
      path, shown(info.name), own, width);
  SUMI_CHECK(count >= 1 && count <= kMostVectors, "{}: \"{}\" has {} vectors; 1 to {} are read", path, shown(info.name),
             count, kMostVectors);
  // A copy, so that the job does not depend on the mapped file.
  const Tensor value = cast(file.tensor(info.name), DType::kF32).reshape({count, width}).clone();
  SUMI_CHECK(count_non_finite(value, std::numeric_limits<int64_t>::max()) == 0,
             "{}: \"{}\" holds values that are not finite", path, shown(info.name));
  return value;
}

}  // namespace

bool is_embedding_file(const io::Checkpoint& file) {
  const auto& tensors = file.tensors();
  if (tensors.empty() || tensors.size() > kMostWords) return false;
  const bool unnamed =
      std::any_of(tensors.begin(), tensors.end(), [](const auto& info) { return is_unnamed(info.name); });
  if (unnamed) return true;
  // A word a tensor; names of layers have dots and end in what the tensor is to the layer.
  return std::all_of(tensors.begin(), tensors.end(), [](const io::TensorInfo& info) {
    return is_vectors(info) && !info.name.ends_with(".weight") && !info.name.ends_with(".bias") &&
           !info.name.ends_with(".alpha");
  });
}

std::vector<Embedding> read_embeddings(const io::Checkpoint& file, int64_t width) {
  const std::string path = file.path().string();
  SUMI_CHECK(is_embedding_file(file), "{}: is no embedding of textual inversion; its first tensor is \"{}\"", path,
             file.tensors().empty() ? "" : shown(file.tensors().front().name));
  std::vector<const io::TensorInfo*> unnamed;
  for (const io::TensorInfo& info : file.tensors()) {
    if (is_unnamed(info.name) && is_vectors(info)) unnamed.push_back(&info);
  }
  if (!unnamed.empty()) {
    // Of the parts for several text encoders the one that fits; the first explains what does not.
    const auto fits =
        std::find_if(unnamed.begin(), unnamed.end(), [&](const auto* info) { return info->shape[-1] == width; });
    return {{.word = "", .vectors = read_vectors(file, fits == unnamed.end() ? *unnamed.front() : **fits, width)}};
  }
  std::vector<Embedding> out;
  for (const io::TensorInfo& info : file.tensors())
    out.push_back({.word = info.name, .vectors = read_vectors(file, info, width)});
  return out;
}

}  // namespace sumi::models
