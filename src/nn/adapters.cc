#include "nn/adapters.h"

#include <algorithm>
#include <utility>

#include "core/autograd.h"
#include "ops/conv_grad.h"
#include "ops/elementwise.h"
#include "ops/layout.h"

namespace sumi::nn {
namespace {

bool is_trained(const LowRank& change) { return change.down.requires_grad() || change.up.requires_grad(); }

int64_t bytes_of_parts(const LowRank& change) { return change.down.bytes() + change.up.bytes(); }

// One change that is the sum of all: downs over one another, ups side by side, float32, the scales in the ups.
LowRank join(const std::vector<LowRank>& terms) {
  std::vector<Tensor> downs;
  Tensor up;
  for (const LowRank& term : terms) {
    downs.push_back(cast(term.down, DType::kF32));
    const Tensor scaled = cast(term.up, DType::kF32).reshape({term.up.dim(0), term.rank()}) * term.scale;
    up = up ? concat_channels(up, scaled) : scaled;
  }
  return {.down = concat_rows(downs), .up = up};
}

// scale·up·down in the shape of the weight, float32.
Tensor product(const LowRank& change, const Shape& shape) {
  const Tensor down = change.down.reshape({change.rank(), -1});
  // The gradient of a linear layer's input is the product without a transposition that is wanted here.
  return linear_grad_input(change.up, down).reshape(shape);
}

}  // namespace

void Adapters::add(const Param& weight, LowRank change) {
  SUMI_CHECK_KIND(kInternal, !finished_, "a change is added to adapters that are finished");
  SUMI_CHECK_KIND(kInternal, weight.adaptable && weight.value,
                  "a change of a weight that is not bound or not adaptable");
  const int64_t rank = change.rank(), outs = weight.shape[0];
  const bool fits = weight.shape.rank() >= 2 && rank > 0 && change.up && change.up.rank() >= 2 &&
                    change.up.dim(0) == outs && change.up.dim(1) == rank && change.up.numel() == outs * rank &&
                    change.down.numel() * outs == rank * weight.shape.numel();
  SUMI_CHECK_KIND(kInternal, fits, "a change of {} and {} for a weight {}", change.down.shape().str(),
                  change.up.shape().str(), weight.shape.str());
  if (change.scale != 0.0f || is_trained(change)) changes_[&weight].terms.push_back(std::move(change));
}

void Adapters::add(const Param& param, Difference difference) {
  SUMI_CHECK_KIND(kInternal, !finished_, "a change is added to adapters that are finished");
  SUMI_CHECK_KIND(kInternal, param.adaptable, "a change of a parameter {} that is not adaptable", param.shape.str());
  changes_[&param].differences.push_back(std::move(difference));
}

// The differences see the parameter's own value, so the sum is made beside it.
void Adapters::merge(const Param& param, Change& change) {
  const Tensor own = param.value ? cast(param.value, DType::kF32).reshape(param.shape) : Tensor();
  Tensor sum = own;
  if (!change.terms.empty()) sum = own + product(change.terms.front(), param.shape);
  for (Difference& difference : change.differences) {
    const Tensor added = difference(own);
    SUMI_CHECK_KIND(kInternal, added.shape() == param.shape, "a change {} of a parameter {}", added.shape().str(),
                    param.shape.str());
    sum = sum ? sum + added : added;
    difference = {};  // frees what it holds
  }
  change.merged = param.value ? sum.reshape(param.value.shape()) : sum;
  change.terms.clear();
  change.differences.clear();
}

void Adapters::finish() {
  const NoGrad off;
  for (auto& [param, change] : changes_) {
    std::vector<LowRank>& terms = change.terms;
    const bool differs = !change.differences.empty();
    if (std::any_of(terms.begin(), terms.end(), is_trained)) {
      SUMI_CHECK_KIND(kInternal, terms.size() == 1 && !differs, "a trained change must be its weight's only one");
      continue;
    }
    int64_t values = 0;
    for (const LowRank& term : terms) values += term.down.numel() + term.up.numel();
    const bool merges = differs || values >= param->shape.numel();
    if (!terms.empty() && (merges || terms.size() > 1)) terms = {join(terms)};
    if (merges) merge(*param, change);
  }
  finished_ = true;
}

WeightInUse Adapters::operator()(const Param& weight) const {
  SUMI_CHECK_KIND(kInternal, finished_, "adapters are used before finish()");
  const auto found = changes_.find(&weight);
  if (found == changes_.end()) return {weight.value, {}};
  const Change& change = found->second;
  return change.merged ? WeightInUse{change.merged, {}} : WeightInUse{weight.value, change.terms.front()};
}

int64_t Adapters::bytes() const {
  int64_t sum = 0;
  for (const auto& [weight, change] : changes_) {
    sum += change.merged ? change.merged.bytes() : 0;
    for (const LowRank& term : change.terms) sum += bytes_of_parts(term);
  }
  return sum;
}

int64_t Adapters::merged_weights() const {
  return std::count_if(changes_.begin(), changes_.end(),
                       [](const auto& entry) { return entry.second.merged.defined(); });
}

int64_t Adapters::low_rank_weights() const { return static_cast<int64_t>(changes_.size()) - merged_weights(); }

WeightInUse in_use(const Param& weight) {
  const Adapters* adapters = Context::current().adapters;
  return adapters != nullptr ? (*adapters)(weight) : WeightInUse{weight.value, {}};
}

Tensor value_in_use(const Param& param) { return in_use(param).value; }

}  // namespace sumi::nn
