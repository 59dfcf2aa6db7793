// The context of a run: where its kernels work and what records them.
//
// Every kernel is given the context of its run. Ops take it from their thread: a ContextScope installs a changed copy
// for its lifetime, and scopes nest. So a job sets its context once, where it begins, and nothing between the job and
// the kernels has to pass it on.
#pragma once

#include <cstdint>
#include <functional>

#include "base/parallel.h"
#include "core/dtype.h"

namespace sumi {

namespace nn {
class Adapters;  // nn/adapters.h
}
class Profile;     // ops/profile.h
class Tape;        // core/autograd.h
class TiledNorms;  // ops/tiled_norms.h

// How a convolution is computed. Winograd's algorithm spends fewer multiplications and rounds a little more (see
// docs/numerics.md).
enum class ConvAlgorithm : unsigned char {
  kAuto,     // whatever is quickest for the shape
  kDirect,   // products and sums alone
  kWinograd  // where it applies (3x3, stride 1), else direct
};

struct Context {
  void* queue = nullptr;  // the device's queue or stream; host kernels have none
  ConvAlgorithm convolutions = ConvAlgorithm::kAuto;
  // Above 0: kernels choose algorithms as if a batch had that many samples, so that no sample's result depends on how
  // many others are computed with it.
  int64_t batch_of_choices = 0;
  DType activations = DType::kF32;         // of networks: kF32, kF16 or kBF16; their inputs and outputs are f32
  Tape* tape = nullptr;                    // records gradients; null: nothing is recorded
  int64_t backward_record = -1;            // of the outermost running backward pass; -1: none
  Profile* profile = nullptr;              // counts and times the ops
  TiledNorms* tiled_norms = nullptr;       // gives group norms of a tile the whole picture's statistics
  const nn::Adapters* adapters = nullptr;  // the changes that this run makes to weights
  // Pictures repeat without end in that direction: layers with padding see their other side instead of zeros.
  bool wrap_x = false, wrap_y = false;

  // The threads of the run are those of base/parallel.h: a PoolScope chooses them.
  int num_threads() const { return sumi::num_threads(); }
  void parallel_for(int64_t tasks, const std::function<void(int64_t)>& body) const { sumi::parallel_for(tasks, body); }

  // The calling thread's context.
  static Context& current();
};

// While one lives, its thread's ops run in this context. Scopes end in reverse order, on the thread
// where they began. What an outer scope changes after that is not seen inside.
class ContextScope {
 public:
  // `change(context)` changes a copy of the thread's context.
  template <class Change> explicit ContextScope(const Change& change) : context_(Context::current()) {
    change(context_);
    enter();
  }
  ~ContextScope();
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;

  Context& context() { return context_; }

 private:
  void enter();

  Context context_;
  Context* outer_ = nullptr;
};

// A scope that changes only how convolutions are computed.
class ConvAlgorithmScope : public ContextScope {
 public:
  explicit ConvAlgorithmScope(ConvAlgorithm algorithm)
      : ContextScope([algorithm](Context& context) { context.convolutions = algorithm; }) {}
};

}  // namespace sumi
