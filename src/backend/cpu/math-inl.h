// Vector exponential, error function and the activations made of them.

#if defined(SUMI_CPU_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SUMI_CPU_MATH_INL_H_
#undef SUMI_CPU_MATH_INL_H_
#else
#define SUMI_CPU_MATH_INL_H_
#endif

#include <algorithm>

#include "core/context.h"
#include "hwy/highway.h"
#include "ops/activation.h"

HWY_BEFORE_NAMESPACE();
namespace sumi::backend::cpu {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// e^x for x ≤ 88, relative error below 2e-7 (tested over the whole range); 0 below -87.3. x = n·ln2 + r with |r| ≤
// ln2/2; the degree-6 Taylor polynomial of e^r is off by at most 0.35^7/7! = 1.3e-7, plus rounding. Max and Min may
// drop a NaN, so e^NaN is some number; every caller also multiplies by x, which restores the NaN.
template <class D, class V = hn::Vec<D>> HWY_INLINE V exp(D d, V x) {
  const auto set = [&](float value) HWY_ATTR { return hn::Set(d, value); };
  const V clamped = hn::Min(hn::Max(x, set(-87.4f)), set(88.0f));
  const V n = hn::Round(hn::Mul(clamped, set(1.44269504f)));
  // ln2 in two pieces; the product of n and the first is exact.
  V r = hn::NegMulAdd(n, set(0.693359375f), clamped);
  r = hn::NegMulAdd(n, set(-2.12194440e-4f), r);
  V p = set(1.0f / 720.0f);
  p = hn::MulAdd(p, r, set(1.0f / 120.0f));
  p = hn::MulAdd(p, r, set(1.0f / 24.0f));
  p = hn::MulAdd(p, r, set(1.0f / 6.0f));
  p = hn::MulAdd(p, r, set(0.5f));
  p = hn::MulAdd(p, r, set(1.0f));
  p = hn::MulAdd(p, r, set(1.0f));
  const hn::RebindToSigned<D> di;
  const auto exponent = hn::ShiftLeft<23>(hn::ConvertTo(di, n));
  const V result = hn::BitCast(d, hn::Add(hn::BitCast(di, p), exponent));
  return hn::IfThenZeroElse(hn::Lt(x, set(-87.3f)), result);
}

// 2^x for x ≤ 0, relative error below 2e-7; never below 2^-126, which vanishes beside any other weight. The polynomial
// is the one of degree 5 with the least largest relative error on |r| ≤ 1/2, 7.5e-8 (fitted by reweighted least
// squares). NaN stays NaN, and through the sum of a row's weights makes the row NaN.
template <class D, class V = hn::Vec<D>> HWY_INLINE V exp2_below_one(D d, V x) {
  const auto set = [&](float value) HWY_ATTR { return hn::Set(d, value); };
  const V clamped = hn::Max(x, set(-126.0f));
  const V n = hn::Round(clamped), r = hn::Sub(clamped, n);
  V p = set(0.00132764719f);
  p = hn::MulAdd(p, r, set(0.00967554133f));
  p = hn::MulAdd(p, r, set(0.0555071327f));
  p = hn::MulAdd(p, r, set(0.240221197f));
  p = hn::MulAdd(p, r, set(0.693146967f));
  p = hn::MulAdd(p, r, set(1.0f));
  const hn::RebindToSigned<D> di;
  const V result = hn::BitCast(d, hn::Add(hn::BitCast(di, p), hn::ShiftLeft<23>(hn::ConvertTo(di, n))));
  return hn::IfThenElse(hn::IsNaN(x), x, result);  // Max has dropped it
}

// 1 / (1 + e^-x)
template <class D, class V = hn::Vec<D>> HWY_INLINE V sigmoid(D d, V x) {
  const V one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, exp(d, hn::Neg(x))));
}

// The normal distribution function Φ(x) = (1 + erf(x/√2))/2, absolute error below 1e-7.
// erf by formula 7.1.26 of Abramowitz and Stegun (error 1.5e-7 in erf).
template <class D, class V = hn::Vec<D>> HWY_INLINE V normal_cdf(D d, V x) {
  const auto set = [&](float value) HWY_ATTR { return hn::Set(d, value); };
  const V z = hn::Mul(hn::Abs(x), set(0.70710678f));
  const V t = hn::Div(set(1.0f), hn::MulAdd(z, set(0.3275911f), set(1.0f)));
  V p = set(1.061405429f);
  p = hn::MulAdd(p, t, set(-1.453152027f));
  p = hn::MulAdd(p, t, set(1.421413741f));
  p = hn::MulAdd(p, t, set(-0.284496736f));
  p = hn::MulAdd(p, t, set(0.254829592f));
  const V tail = hn::Mul(hn::Mul(set(0.5f), hn::Mul(p, t)), exp(d, hn::Neg(hn::Mul(z, z))));  // 1 - Φ(|x|)
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), tail, hn::Sub(set(1.0f), tail));
}

// Absolute error below 1e-7.
template <class D, class V = hn::Vec<D>> HWY_INLINE V tanh(D d, V x) {
  const V one = hn::Set(d, 1.0f), e = exp(d, hn::Mul(hn::Abs(x), hn::Set(d, -2.0f)));
  const V size = hn::Div(hn::Sub(one, e), hn::Add(one, e));
  return hn::IfThenElse(hn::IsNaN(x), x, hn::CopySign(size, x));  // exp drops a NaN
}

template <class D, class V = hn::Vec<D>> HWY_INLINE V apply_act(D d, V x, Act act) {
  switch (act) {
    case Act::kSilu: return hn::Mul(x, sigmoid(d, x));
    case Act::kGelu: return hn::Mul(x, normal_cdf(d, x));
    case Act::kQuickGelu: return hn::Mul(x, sigmoid(d, hn::Mul(x, hn::Set(d, 1.702f))));
    case Act::kRelu: return hn::IfThenZeroElse(hn::Le(x, hn::Zero(d)), x);  // Max would drop a NaN
    case Act::kLeakyRelu: return hn::Max(x, hn::Mul(x, hn::Set(d, 0.2f)));
    case Act::kTanh: return tanh(d, x);
    case Act::kNone: break;
  }
  return x;
}

// The derivative of apply_act.
template <class D, class V = hn::Vec<D>> HWY_INLINE V act_slope(D d, V x, Act act) {
  const auto set = [&](float value) HWY_ATTR { return hn::Set(d, value); };
  // σ(ax) + ax·σ(ax)·(1 - σ(ax))
  const auto of_gated = [&](V ax) HWY_ATTR {
    const V s = sigmoid(d, ax);
    return hn::MulAdd(hn::Mul(ax, s), hn::Sub(set(1.0f), s), s);
  };
  switch (act) {
    case Act::kSilu: return of_gated(x);
    case Act::kGelu: {  // Φ(x) + x·φ(x)
      const V density = hn::Mul(set(0.39894228f), exp(d, hn::Mul(set(-0.5f), hn::Mul(x, x))));
      return hn::MulAdd(x, density, normal_cdf(d, x));
    }
    case Act::kQuickGelu: return of_gated(hn::Mul(x, set(1.702f)));
    case Act::kRelu: return hn::IfThenElse(hn::Gt(x, hn::Zero(d)), set(1.0f), hn::Zero(d));
    case Act::kLeakyRelu: return hn::IfThenElse(hn::Gt(x, hn::Zero(d)), set(1.0f), set(0.2f));
    case Act::kTanh: {
      const V t = tanh(d, x);
      return hn::NegMulAdd(t, t, set(1.0f));
    }
    case Act::kNone: break;
  }
  return set(1.0f);
}

// 64 KB of floats a task: enough to pay for the hand-over, few enough to share.
constexpr int64_t kChunk = 16384;

// Calls f(begin, end) for consecutive parts of [0, count), on several threads.
template <class F> void for_chunks(const Context& context, int64_t count, const F& f) {
  context.parallel_for((count + kChunk - 1) / kChunk,
                       [&](int64_t task) { f(task * kChunk, std::min(count, (task + 1) * kChunk)); });
}

// Calls f(d, offset) over [0, count): whole vectors, then single lanes, so that nothing beyond the end is touched.
template <class F> HWY_INLINE void for_lanes(int64_t count, const F& f) {
  const hn::CappedTag<float, 16> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) f(d, i);
  const hn::FixedTag<float, 1> single;
  for (; i < count; ++i) f(single, i);
}

}  // namespace HWY_NAMESPACE
}  // namespace sumi::backend::cpu
HWY_AFTER_NAMESPACE();
#endif
