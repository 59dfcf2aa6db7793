#include "engine/request.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "text/normalize.h"
#include "text/prompt_weights.h"

namespace sumi::engine {
namespace {

void check_side(std::string_view name, int64_t pixels) {
  SUMI_CHECK_KIND(kUsage, pixels > 0 && pixels <= kMaxSide && pixels % 8 == 0,
                  "the {} must be a multiple of 8 from 8 to {}, not {}", name, kMaxSide, pixels);
}

void check_count(std::string_view name, int64_t count, int64_t most) {
  SUMI_CHECK_KIND(kUsage, count >= 1 && count <= most, "{} must be from 1 to {}, not {}", name, most, count);
}

void check_text(const std::string& prompt, PromptSyntax syntax) {
  text::check_prompt(prompt);
  text::refuse_network_tags(prompt);
  if (syntax == PromptSyntax::kWeighted) text::parse_weighted_prompt(prompt);
}

}  // namespace

int64_t Txt2ImgRequest::pictures() const {
  int64_t sum = 0;
  for (const auto& batch : batches) sum += static_cast<int64_t>(batch.size());
  return sum * n_iter;
}

std::vector<std::vector<std::string>> repeat_prompt(const std::string& prompt, int64_t n_samples) {
  check_count("the number of pictures at once", n_samples, kMaxBatch);
  return {std::vector<std::string>(static_cast<size_t>(n_samples), prompt)};
}

std::vector<std::vector<std::string>> chunk_prompts(const std::vector<std::string>& lines, int64_t n_samples) {
  check_count("the number of pictures at once", n_samples, kMaxBatch);
  std::vector<std::vector<std::string>> batches;
  for (size_t begin = 0; begin < lines.size(); begin += static_cast<size_t>(n_samples)) {
    const size_t end = std::min(lines.size(), begin + static_cast<size_t>(n_samples));
    batches.emplace_back(lines.begin() + static_cast<std::ptrdiff_t>(begin),
                         lines.begin() + static_cast<std::ptrdiff_t>(end));
  }
  return batches;
}

void check_request(const Txt2ImgRequest& request) {
  check_side("width", request.width);
  check_side("height", request.height);
  check_count("the number of iterations", request.n_iter, kMaxIterations);
  check_count("the number of steps", request.sampling.steps, kMaxSteps);
  SUMI_CHECK_KIND(kUsage, std::isfinite(request.scale) && request.scale >= 0 && request.scale <= kMaxScale,
                  "the guidance scale must be a number from 0 to {}, not {}", kMaxScale, request.scale);
  SUMI_CHECK_KIND(kUsage, std::isfinite(request.sampling.eta) && request.sampling.eta >= 0 && request.sampling.eta <= 1,
                  "eta must be a number from 0 to 1, not {}", request.sampling.eta);
  SUMI_CHECK_KIND(kUsage, !request.batches.empty(), "no prompt was given");
  check_text(request.negative_prompt, request.syntax);
  for (const auto& batch : request.batches) {
    check_count("the number of pictures at once", static_cast<int64_t>(batch.size()), kMaxBatch);
    for (size_t i = 0; i < batch.size(); ++i) {
      if (i == 0 || batch[i] != batch[i - 1]) check_text(batch[i], request.syntax);
    }
  }
}

}  // namespace sumi::engine
