// Gradients: a tape that ops write to, read backwards.
//
// While a Tape lives, it is in its thread's context (core/context.h), and every op with an input that requires a
// gradient records how the gradient of its result becomes gradients of its inputs. Tape::backward runs the records from
// the last to the first and frees what each held as soon as it is done. Without a tape nothing is recorded or kept.
#pragma once

#include <functional>
#include <initializer_list>
#include <vector>

#include "core/kernel_slot.h"
#include "core/tensor.h"

namespace sumi {

// The gradient summed so far; tensors that share bytes share it.
struct GradSlot {
  Tensor value;              // undefined: none yet
  int64_t last_record = -1;  // of the outermost backward pass that added to it, counted from that pass's first
};

class Tape {
 public:
  // Adds to the inputs' gradients (add_grad), given the gradient of the result, in the result's shape.
  using Backward = std::function<void(const Tensor& grad)>;

  Tape() : scope_([this](Context& context) { context.tape = this; }) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  static Tape* current() { return Context::current().tape; }
  // The thread's tape if one of the inputs requires a gradient, else null.
  static Tape* recording(std::initializer_list<const Tensor*> inputs);

  // Makes `out`, which must be float32, require a gradient. `backward` is called with it, unless none arrives.
  void record(Tensor& out, Backward backward);

  // Called after each record of a backward pass, with its number, from 0 on.
  using AfterRecord = std::function<void(int64_t record)>;

  // Runs everything recorded, with `grad` as the gradient of `out`. Afterwards the tape is empty.
  void backward(const Tensor& out, const Tensor& grad, const AfterRecord& after = {});
  // The same for a loss, times `weight`.
  void backward(const Tensor& loss, float weight = 1.0f, const AfterRecord& after = {});

 private:
  struct Record {
    std::shared_ptr<GradSlot> slot;
    Shape shape;
    Backward backward;
  };
  ContextScope scope_;
  std::vector<Record> records_;
};

// While one lives, its thread records nothing.
class NoGrad : public ContextScope {
 public:
  NoGrad() : ContextScope([](Context& context) { context.tape = nullptr; }) {}
};

// Adds `grad`, of as many elements as x, to the gradient of x; does nothing where x requires none.
void add_grad(const Tensor& x, const Tensor& grad);
// The same for rows [begin, begin + grad.dim(0)) of x's first dimension.
void add_grad_rows(const Tensor& x, int64_t begin, const Tensor& grad);

// f(inputs) that keeps only the inputs: the backward pass computes f again. f must give the same result each time, and
// reach everything that requires a gradient through its inputs or as leaves (parameters). (Chen et al. 2016)
using CheckpointedFunction = std::function<Tensor(const std::vector<Tensor>& inputs)>;
Tensor checkpoint(const CheckpointedFunction& f, const std::vector<Tensor>& inputs);

// to[i] += from[i], float32.
struct AccumulateArgs {
  View from;
  MutableView to;
  template <class F> void each_view(const F& f) {
    f(from);
    f(to);
  }
};
extern KernelSlot<AccumulateArgs> accumulate_slot;

}  // namespace sumi
