#include "core/autograd.h"

#include <algorithm>
#include <utility>

namespace sumi {

constinit KernelSlot<AccumulateArgs> accumulate_slot("accumulate");

Tape* Tape::recording(std::initializer_list<const Tensor*> inputs) {
  const auto required = [](const Tensor* input) { return input->requires_grad(); };
  Tape* tape = current();
  return tape != nullptr && std::any_of(inputs.begin(), inputs.end(), required) ? tape : nullptr;
}

void Tape::record(Tensor& out, Backward backward) {
  SUMI_CHECK(out.dtype() == DType::kF32, "gradients are computed in f32, and this run's activations are {}",
             name_of(out.dtype()));
  out.set_requires_grad(true);
  records_.push_back({out.grad_slot(), out.shape(), std::move(backward)});
}

void Tape::backward(const Tensor& out, const Tensor& grad, const AfterRecord& after) {
  NoGrad off;
  Context& context = off.context();
  const bool outermost = context.backward_record < 0;
  if (outermost) context.backward_record = 0;
  add_grad(out, grad);
  for (int64_t number = 0; !records_.empty(); records_.pop_back(), ++number) {
    if (outermost) context.backward_record = number;
    Record& record = records_.back();
    const Tensor value = std::exchange(record.slot->value, {});
    if (value) record.backward(value.reshape(record.shape));
    if (after) after(number);
  }
}

void Tape::backward(const Tensor& loss, float weight, const AfterRecord& after) {
  backward(loss, Tensor::full(loss.shape(), weight, loss.device()), after);
}

void add_grad(const Tensor& x, const Tensor& grad) {
  if (!x.requires_grad() || !grad) return;
  SUMI_CHECK_KIND(kInternal, grad.numel() == x.numel() && grad.dtype() == DType::kF32, "a gradient {} for a tensor {}",
                  grad.shape().str(), x.shape().str());
  Tensor& sum = x.grad_slot()->value;
  x.grad_slot()->last_record = Context::current().backward_record;
  if (!sum) {
    sum = grad;
    return;
  }
  // Gradients are handed on without being copied, so another slot may hold this one too.
  if (!sum.is_sole_owner()) sum = sum.clone();
  accumulate_slot(sum.device(), {.from = grad.view(), .to = sum.mutable_view()});
}

void add_grad_rows(const Tensor& x, int64_t begin, const Tensor& grad) {
  if (!x.requires_grad() || !grad) return;
  Tensor& sum = x.grad_slot()->value;
  x.grad_slot()->last_record = Context::current().backward_record;
  if (!sum) sum = Tensor::zeros(x.shape(), DType::kF32, x.device());
  if (!sum.is_sole_owner()) sum = sum.clone();
  // The sum may have come in another shape of as many elements, from a reshaped use of x.
  const Tensor part = sum.detach().reshape(x.shape()).rows(begin, begin + grad.dim(0));
  SUMI_CHECK_KIND(kInternal, part.numel() == grad.numel() && grad.dtype() == DType::kF32,
                  "a gradient {} for rows {} to {} of {}", grad.shape().str(), begin, begin + grad.dim(0),
                  x.shape().str());
  accumulate_slot(sum.device(), {.from = grad.view(), .to = {part.view()}});
}

Tensor checkpoint(const CheckpointedFunction& f, const std::vector<Tensor>& inputs) {
  Tape* tape = Tape::current();
  if (tape == nullptr) return f(inputs);
  Tensor out;
  {
    const NoGrad off;
    out = f(inputs);
  }
  const Context& now = Context::current();
  tape->record(out, [f, inputs, convolutions = now.convolutions, activations = now.activations,
                     adapters = now.adapters](const Tensor& grad) {
    const ContextScope as_before([&](Context& context) {
      context.convolutions = convolutions;
      context.activations = activations;
      context.adapters = adapters;
    });
    std::vector<Tensor> leaves;
    for (const Tensor& input : inputs) {
      leaves.push_back(input.detach());
      leaves.back().set_requires_grad(input.requires_grad());
    }
    Tape inner;
    const Tensor again = f(leaves);
    inner.backward(again, grad);
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].requires_grad()) add_grad(inputs[i], leaves[i].grad());
    }
  });
  return out;
}

}  // namespace sumi
