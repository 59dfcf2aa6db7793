#include "train/gradient_sum.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace sumi::train {

GradientSum::GradientSum(const Ranks& ranks, const std::vector<NamedTensor>& params, int64_t bucket)
    : ranks_(ranks), params_(params), bucket_values_(bucket) {}

Tape::AfterRecord GradientSum::watch() {
  if (ranks_.alone()) return {};
  sent_ = 0;
  return [this](int64_t record) {
    record_ = record;
    move_on();
  };
}

// Sends complete buckets and polls those under way: MPI makes progress only inside its calls.
void GradientSum::move_on() {
  while (sent_ < buckets_.size() && buckets_[sent_].ready <= record_) send(buckets_[sent_++]);
  for (size_t i = 0; i < sent_; ++i) buckets_[i].sum.done();
}

void GradientSum::plan() {
  std::vector<size_t> order(params_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto last = [&](size_t i) { return params_[i].value.grad_slot()->last_record; };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return last(a) < last(b); });
  int64_t values = 0;
  for (const size_t i : order) {
    if (buckets_.empty() || values + params_[i].value.numel() > bucket_values_) {
      buckets_.emplace_back();
      values = 0;
    }
    buckets_.back().params.push_back(i);
    buckets_.back().ready = last(i);
    values += params_[i].value.numel();
  }
}

void GradientSum::send(Bucket& bucket) {
  int64_t values = 0;
  for (const size_t i : bucket.params) values += params_[i].value.numel();
  if (!bucket.values) bucket.values = Tensor::empty({values});  // on the host, where MPI reads it
  const HostEdit<float> all(bucket.values);
  float* to = all.data();
  for (const size_t i : bucket.params) {
    const Tensor grad = params_[i].value.grad();
    const int64_t count = params_[i].value.numel();
    if (grad) {
      const HostView<float> from(grad);
      std::copy(from.begin(), from.end(), to);
    } else {
      std::fill_n(to, count, 0.0f);
    }
    to += count;
  }
  bucket.sum = ranks_.begin_sum(all.span());
}

void GradientSum::finish() {
  if (ranks_.alone()) return;
  if (buckets_.empty()) plan();
  while (sent_ < buckets_.size()) send(buckets_[sent_++]);
  for (Bucket& bucket : buckets_) {
    bucket.sum.wait();
    int64_t at = 0;
    for (const size_t i : bucket.params) {
      Tensor& param = params_[i].value;
      const int64_t count = param.numel();
      SUMI_CHECK_KIND(kInternal, param.grad_slot()->last_record <= bucket.ready,
                      "the gradient of {} was added to after it was sent", params_[i].name);
      if (param.grad()) {
        Tensor sum = Tensor::empty(param.shape(), DType::kF32, param.device());
        sum.copy_from(bucket.values.rows(at, at + count));
        param.clear_grad();
        add_grad(param, sum);
      }
      at += count;
    }
  }
}

}  // namespace sumi::train
