// Adapters: what one run changes of a model's weights, kept beside them. The weights themselves are never changed, so
// several runs with different adapters may share a model.
//
//   nn::Adapters adapters;
//   model.adapt(adapters, *io::open_checkpoint("style.safetensors"), {0.8, 0.8});  // as many files as wanted
//   adapters.finish();
//   const nn::AdaptersScope scope(&adapters);
//   model.predict(…);  // Linear and Conv2d layers called in the scope compute with the changes
//
// A change belongs to a Param by its address: from the first add() on the modules must neither move nor be destroyed
// for as long as the adapters are used. (Moving a StableDiffusion does not move its modules.)
#pragma once

#include <functional>
#include <unordered_map>
#include <vector>

#include "core/context.h"
#include "nn/module.h"
#include "ops/matmul.h"

namespace sumi::nn {

using sumi::LowRank;

// A weight as a run computes with it.
struct WeightInUse {
  Tensor value;    // of the weight, or the merged copy that takes its place
  LowRank change;  // to be added to it in the product; undefined: none
};

// A change of any other form: what is to be added to a parameter, float32 of its shape on its device, made from the
// parameter's own value in float32 (undefined for the bias of a layer that has none). Called once, by finish().
using Difference = std::function<Tensor(const Tensor& value)>;

// Not to be used from several threads until finish() has returned; after that it never changes, and any number of
// threads may read it.
class Adapters {
 public:
  // Adds a change to a weight that is bound and adaptable (see Param), on its device; any number of changes of one
  // weight add up, and one of scale 0 is none unless it is trained. Throws Error(kInternal) for another weight, for
  // parts that do not fit, and after finish().
  void add(const Param& weight, LowRank change);

  // Adds a change of another form to an adaptable parameter (weights, biases, norms), bound or absent. All changes of a
  // parameter, of both forms, are made from its own value and add up, in whatever order they were added. Throws
  // Error(kInternal) after finish() and for a parameter that is not adaptable.
  void add(const Param& param, Difference difference);

  // Brings the changes into the form that layers use. The low-rank changes of a weight are joined to one of the sum of
  // their ranks, or merged with the weight into a float32 copy, whichever has fewer values; a single change that is not
  // merged keeps its tensors, in their types. Where there are differences everything is merged. A change that requires
  // a gradient is kept as it is, and must be its weight's only one (Error(kInternal)). Needs memory for three float32
  // copies of the largest weight meanwhile. Throws what a Difference throws, and Error(kInternal) for one that gives
  // another shape.
  void finish();

  // The weight as this run has it.
  WeightInUse operator()(const Param& weight) const;

  // The bytes of all changes and merged copies, those that lie in mapped files included.
  int64_t bytes() const;
  // How many parameters are replaced by a merged copy, and how many have a change beside them.
  int64_t merged_weights() const;
  int64_t low_rank_weights() const;

 private:
  struct Change {
    Tensor merged;                        // defined: takes the parameter's place, and there are no terms
    std::vector<LowRank> terms;           // at most one after finish()
    std::vector<Difference> differences;  // none after finish()
  };
  static void merge(const Param& param, Change& change);

  bool finished_ = false;
  std::unordered_map<const Param*, Change> changes_;
};

// The weight as the thread's context has it: with the changes of Context::adapters, if any. What every layer with an
// adaptable weight computes with.
WeightInUse in_use(const Param& weight);
// The same for a parameter that has no change beside it: a bias, or a norm's. Undefined for one without a value.
Tensor value_in_use(const Param& param);

// A scope that changes only the adapters, which it does not own; null: the weights as they are.
class AdaptersScope : public ContextScope {
 public:
  explicit AdaptersScope(const Adapters* adapters)
      : ContextScope([adapters](Context& context) { context.adapters = adapters; }) {}
};

}  // namespace sumi::nn
