// What a run brings along: where its kernels work and what watches them.
//
// Every kernel is given the context of the run that it belongs to. Ops take it from their thread: a ContextScope makes
// a changed copy the thread's own for as long as it lives, and scopes nest. So a job has one context, set where the job
// begins, and nothing between the job and the kernels has to hand it on.
#pragma once

#include <cstdint>
#include <functional>

#include "base/parallel.h"
#include "core/dtype.h"

namespace sumi {

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
  ThreadPool* pool = nullptr;  // of host kernels; null: the process's own
  void* queue = nullptr;       // the device's queue or stream; host kernels have none
  ConvAlgorithm convolutions = ConvAlgorithm::kAuto;
  DType activations = DType::kF32;  // what networks compute in: kF32, kF16 or kBF16; what enters and leaves them is f32
  Tape* tape = nullptr;             // records gradients; null: nothing is recorded
  int64_t backward_record = -1;     // of the outermost backward pass under way; -1: none is
  Profile* profile = nullptr;       // counts and times the ops
  TiledNorms* tiled_norms = nullptr;  // gives group norms the statistics of the picture of which they see a tile

  int num_threads() const { return pool != nullptr ? pool->threads() : sumi::num_threads(); }
  // See base/parallel.h.
  void parallel_for(int64_t tasks, const std::function<void(int64_t)>& body) const {
    if (pool != nullptr) {
      pool->parallel_for(tasks, body);
    } else {
      sumi::parallel_for(tasks, body);
    }
  }

  // The calling thread's.
  static Context& current();
};

// While one lives, its thread's ops run in this context. Scopes end in the reverse order of their beginnings.
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

// A scope that changes how convolutions are computed, and nothing else.
class ConvAlgorithmScope : public ContextScope {
 public:
  explicit ConvAlgorithmScope(ConvAlgorithm algorithm)
      : ContextScope([algorithm](Context& context) { context.convolutions = algorithm; }) {}
};

}  // namespace sumi
