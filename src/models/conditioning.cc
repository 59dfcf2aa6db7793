#include "models/conditioning.h"

#include "ops/layout.h"

namespace sumi::models {
namespace {

Tensor join(const Tensor& uncond, const Tensor& cond, const char* what) {
  if (!uncond && !cond) return {};
  SUMI_CHECK(uncond && cond, "guidance needs the {} of both the prompt and the negative prompt; the {} is missing",
             what, uncond ? "prompt's" : "negative prompt's");
  SUMI_CHECK(cond.shape() == uncond.shape(), "the prompt's {} {} and the negative prompt's {} differ in shape", what,
             cond.shape().str(), uncond.shape().str());
  return concat_rows({uncond, cond});
}

}  // namespace

Conditioning concat(const Conditioning& uncond, const Conditioning& cond) {
  SUMI_CHECK_KIND(kUsage, cond.sequence || cond.pooled || uncond.sequence || uncond.pooled,
                  "a model without text has nothing to guide it; use a scale of 1");
  Conditioning both{.sequence = join(uncond.sequence, cond.sequence, "text"),
                    .pooled = join(uncond.pooled, cond.pooled, "pooled text"),
                    .added = join(uncond.added, cond.added, "added vector"),
                    .channels = join(uncond.channels, cond.channels, "channels")};
  SUMI_CHECK(uncond.control.skips.size() == cond.control.skips.size(),
             "the prompt has {} control residuals and the negative prompt {}", cond.control.skips.size(),
             uncond.control.skips.size());
  for (size_t i = 0; i < cond.control.skips.size(); ++i)
    both.control.skips.push_back(join(uncond.control.skips[i], cond.control.skips[i], "control residual"));
  both.control.middle = join(uncond.control.middle, cond.control.middle, "control residual");
  return both;
}

}  // namespace sumi::models
