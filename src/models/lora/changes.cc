#include "models/lora/changes.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/parallel.h"
#include "base/text_util.h"
#include "ops/conv_grad.h"
#include "ops/elementwise.h"
#include "ops/layout.h"

namespace sumi::models::lora {
namespace {

// x [m,k], y [k,n] → [m,n]. The gradient of a linear layer's input is the product without a transposition.
Tensor product(const Tensor& x, const Tensor& y) { return linear_grad_input(x, y); }

// [a,b,c] → [a,c,b].
Tensor swap_last(const Tensor& x) {
  const int64_t a = x.dim(0), b = x.dim(1), c = x.dim(2);
  Tensor out = Tensor::empty({a, c, b});
  const HostView<float> from(x);
  const HostEdit<float> to(out);
  parallel_for(a, [&](int64_t i) {
    for (int64_t k = 0; k < c; ++k)
      for (int64_t j = 0; j < b; ++j) to[(i * c + k) * b + j] = from[(i * b + j) * c + k];
  });
  return out;
}

Tensor transposed(const Tensor& x) {
  return swap_last(x.reshape({1, x.dim(0), x.dim(1)})).reshape({x.dim(1), x.dim(0)});
}

// The inner half of a Tucker product: core [a,b,kh,kw] with down [b,in] → [a,in,kh,kw].
Tensor core_times_down(const Tensor& core, const Tensor& down) {
  const int64_t a = core.dim(0), b = core.dim(1), taps = core.dim(2) * core.dim(3), in = down.dim(1);
  const Tensor turned = swap_last(core.reshape({a, b, taps})).reshape({a * taps, b});
  return swap_last(product(turned, down).reshape({a, taps, in})).reshape({a, in, core.dim(2), core.dim(3)});
}

// Σ_xy core[x,y] up[x,o] down[y,i] → [out,in,kh,kw].
Tensor tucker(const Tensor& core, const Tensor& up, const Tensor& down) {
  const Tensor inner = core_times_down(core, down);
  const int64_t in = inner.dim(1), taps = core.dim(2) * core.dim(3);
  return product(transposed(up), inner.reshape({inner.dim(0), in * taps}))
      .reshape({up.dim(1), in, core.dim(2), core.dim(3)});
}

// w1 [a,c], w2 [b,d,taps] → [a·b, c·d, taps]: w1's index is the outer one on both axes.
Tensor kron(const Tensor& w1, const Tensor& w2) {
  const int64_t a = w1.dim(0), c = w1.dim(1), b = w2.dim(0), d = w2.dim(1), taps = w2.dim(2);
  Tensor out = Tensor::empty({a * b, c * d, taps});
  const HostView<float> first(w1), second(w2);
  const HostEdit<float> values(out);
  parallel_for(a * b, [&](int64_t row) {
    const int64_t i = row / b, j = row % b;
    for (int64_t k = 0; k < c; ++k) {
      const float factor = first[i * c + k];
      for (int64_t l = 0; l < d * taps; ++l) values[(row * c + k) * d * taps + l] = factor * second[j * d * taps + l];
    }
  });
  return out;
}

// A group's parts, kept by themselves: the file may be closed before the change is made. Checks that their shapes make
// a change of the parameter.
class Parts {
 public:
  Parts(const AdapterFile& file, const Group& group, const Shape& shape)
      : path_(file.path()), group_(group), shape_(shape) {
    for (const auto& [part, info] : group.parts) {
      const bool number = part == Part::kAlpha || part == Part::kScalar || part == Part::kOnInput;
      if (!number) tensors_[part] = file.tensor(group, part);
    }
    scale_ = file.number(group, Part::kScalar).value_or(1.0);
    // The alpha of a LoKr of two full factors does not count.
    if (group.rank() > 0) scale_ *= file.scale(group, group.rank());
    SUMI_CHECK(std::isfinite(scale_), "{}: the scale of \"{}\" is not finite", path_, module());
  }

  const Group& group() const { return group_; }
  const Shape& shape() const { return shape_; }  // of the parameter
  bool has(Part part) const { return group_.has(part); }
  float scale() const { return static_cast<float>(scale_); }
  // As the file has it, or in float32.
  const Tensor& raw(Part part) const { return tensors_.at(part); }
  Tensor wide(Part part) const { return cast(raw(part), DType::kF32); }
  // As a matrix [rows, the rest].
  Tensor matrix(Part part) const {
    const Tensor value = wide(part);
    check(value.rank() >= 2 && value.numel() > 0, part);
    return value.reshape({value.dim(0), -1});
  }
  Tensor core(Part part) const {
    const Tensor value = wide(part);
    check(value.rank() == 4 && value.numel() > 0, part);
    return value;
  }
  // The sizes of matrix(part), and of a core's kernel, before anything is made of them.
  int64_t rows(Part part) const {
    check(group_.shape(part).rank() >= 2 && group_.shape(part).numel() > 0, part);
    return group_.shape(part)[0];
  }
  int64_t columns(Part part) const { return group_.shape(part).numel() / rows(part); }
  int64_t taps_of(Part part) const {
    check(group_.shape(part).rank() == 4, part);
    return group_.shape(part)[2] * group_.shape(part)[3];
  }
  int64_t taps() const { return shape_.numel() / (shape_[0] * shape_[1]); }  // of the weight
  void check(bool fits, Part part) const {
    SUMI_CHECK(fits, "{}: \"{}\" {} does not fit the layer, whose shape is {}; is it for another family of models?",
               path_, name(part), group_.shape(part).str(), shape_.str());
  }
  // Fails with the shapes of two parts that do not go together.
  void check(bool fits, Part one, Part other) const {
    SUMI_CHECK(fits,
               "{}: \"{}\" {} and \"{}\" {} do not make a change of the weight {}; is it for another family of models?",
               path_, name(one), group_.shape(one).str(), name(other), group_.shape(other).str(), shape_.str());
  }
  // In the weight's shape.
  Tensor fitted(const Tensor& change, Part part) const {
    check(change.numel() == shape_.numel() && change.dim(0) == shape_[0], part);
    return change.reshape(shape_);
  }
  std::string module() const { return shorten(strip_control(group_.module), 160); }

 private:
  std::string name(Part part) const { return shorten(strip_control(group_.parts.at(part).name), 160); }

  std::string path_;
  Group group_;
  Shape shape_;
  std::map<Part, Tensor> tensors_;
  double scale_ = 1.0;
};

nn::LowRank read_lora(const Parts& parts) {
  const Shape& weight = parts.shape();
  nn::LowRank out{.down = parts.raw(Part::kDown), .up = parts.raw(Part::kUp), .scale = parts.scale()};
  const int64_t rank = out.up.rank() >= 2 ? out.up.dim(1) : 0;
  parts.check(rank > 0 && out.down.rank() >= 2 && out.down.dim(0) > 0, Part::kDown, Part::kUp);
  if (parts.has(Part::kMid)) {
    parts.check(out.up.dim(0) == weight[0] && parts.columns(Part::kDown) == weight[1], Part::kDown, Part::kUp);
    parts.check(parts.taps_of(Part::kMid) == parts.taps(), Part::kMid);
    const Tensor core = parts.core(Part::kMid), down = parts.matrix(Part::kDown);
    parts.check(core.dim(0) == rank && core.dim(1) == down.dim(0), Part::kMid, Part::kDown);
    out.down = core_times_down(core, down);
  }
  const bool fits = out.down.dim(0) == rank && out.up.numel() == weight[0] * rank && out.up.dim(0) == weight[0] &&
                    out.down.numel() * weight[0] == rank * weight.numel();
  parts.check(fits, Part::kDown, Part::kUp);
  if (weight.rank() == 4) out.down = out.down.reshape({rank, weight[1], weight[2], weight[3]});
  return out;
}

Tensor low_rank_product(const nn::LowRank& change, const Shape& weight) {
  const Tensor up = change.up.reshape({change.up.dim(0), change.rank()});
  return (product(cast(up, DType::kF32), cast(change.down, DType::kF32).reshape({change.rank(), -1})) * change.scale)
      .reshape(weight);
}

Tensor read_loha(const Parts& parts) {
  const auto factor = [&](Part a, Part b, Part t) {
    const Tensor up = parts.matrix(a), down = parts.matrix(b);
    const Shape& weight = parts.shape();
    if (!parts.has(t)) {
      parts.check(up.dim(1) == down.dim(0), a, b);
      parts.check(up.dim(0) == weight[0] && down.dim(1) == weight.numel() / weight[0], a, b);
      return product(up, down);
    }
    const Tensor core = parts.core(t);
    parts.check(core.dim(0) == up.dim(0) && core.dim(1) == down.dim(0), t, a);
    parts.check(up.dim(1) == weight[0] && down.dim(1) == weight[1] && parts.taps_of(t) == parts.taps(), a, b);
    return tucker(core, up, down);
  };
  const Tensor first = parts.fitted(factor(Part::kHada1A, Part::kHada1B, Part::kHadaT1), Part::kHada1A);
  const Tensor second = parts.fitted(factor(Part::kHada2A, Part::kHada2B, Part::kHadaT2), Part::kHada2A);
  return mul(first, second) * parts.scale();
}

// Fails unless the rows and columns of w1 and w2 are the weight's together: before they are made of their factors,
// whose product may be larger than any memory.
void check_lokr(const Parts& parts) {
  const Shape& weight = parts.shape();
  const bool full1 = parts.has(Part::kLokr1), full2 = parts.has(Part::kLokr2), core = parts.has(Part::kLokrT2);
  const Part one = full1 ? Part::kLokr1 : Part::kLokr1A, two = full2 ? Part::kLokr2 : Part::kLokr2A;
  const int64_t rows1 = parts.rows(one), columns1 = parts.columns(full1 ? one : Part::kLokr1B);
  const int64_t rows2 = core ? parts.columns(two) : parts.rows(two);
  const int64_t columns2 = parts.columns(full2 ? two : Part::kLokr2B) / (core ? 1 : parts.taps());
  const bool fits = weight[0] % rows1 == 0 && weight[0] / rows1 == rows2 && weight[1] % columns1 == 0 &&
                    weight[1] / columns1 == columns2;
  parts.check(fits, one, two);
}

// w2 of a LoKr change as [rows, columns, taps], `taps` being the weight's.
Tensor second_of_lokr(const Parts& parts, int64_t taps) {
  if (parts.has(Part::kLokr2)) {
    const Tensor w2 = parts.matrix(Part::kLokr2);
    parts.check(w2.dim(1) % taps == 0, Part::kLokr2);
    return w2.reshape({w2.dim(0), w2.dim(1) / taps, taps});
  }
  const Tensor up = parts.matrix(Part::kLokr2A), down = parts.matrix(Part::kLokr2B);
  if (parts.has(Part::kLokrT2)) {
    const Tensor core = parts.core(Part::kLokrT2);
    parts.check(core.dim(0) == up.dim(0) && core.dim(1) == down.dim(0), Part::kLokrT2, Part::kLokr2A);
    parts.check(core.dim(2) * core.dim(3) == taps, Part::kLokrT2);
    const Tensor w2 = tucker(core, up, down);
    return w2.reshape({w2.dim(0), w2.dim(1), taps});
  }
  parts.check(up.dim(1) == down.dim(0) && down.dim(1) % taps == 0, Part::kLokr2A, Part::kLokr2B);
  return product(up, down).reshape({up.dim(0), down.dim(1) / taps, taps});
}

Tensor read_lokr(const Parts& parts) {
  check_lokr(parts);
  Tensor w1;
  if (parts.has(Part::kLokr1)) {
    w1 = parts.matrix(Part::kLokr1);
  } else {
    const Tensor up = parts.matrix(Part::kLokr1A), down = parts.matrix(Part::kLokr1B);
    parts.check(up.dim(1) == down.dim(0), Part::kLokr1A, Part::kLokr1B);
    w1 = product(up, down);
  }
  return kron(w1, second_of_lokr(parts, parts.taps())).reshape(parts.shape()) * parts.scale();
}

// The change without s.
Tensor plain_change(const Parts& parts) {
  switch (parts.group().kind()) {
    case Kind::kLora: return low_rank_product(read_lora(parts), parts.shape());
    case Kind::kLoha: return read_loha(parts);
    default: return read_lokr(parts);
  }
}

// weight + change scaled so that its norms over all axes but `axis` (0: the output, 1: the input) are `magnitude`, less
// the weight.
Tensor dora(const Tensor& weight, const Tensor& change, const Tensor& magnitude, int axis) {
  const int64_t outs = weight.dim(0), ins = weight.dim(1), taps = weight.numel() / (outs * ins);
  const int64_t count = axis == 0 ? outs : ins;
  const Tensor sum = weight + change;
  std::vector<double> squares(static_cast<size_t>(count));
  Tensor out = Tensor::empty(weight.shape());
  const HostView<float> own(weight), v(sum), m(magnitude);
  const HostEdit<float> to(out);
  const auto place = [&](int64_t o, int64_t i) { return static_cast<size_t>(axis == 0 ? o : i); };
  for (int64_t o = 0; o < outs; ++o)
    for (int64_t i = 0; i < ins; ++i)
      for (int64_t t = 0; t < taps; ++t) {
        const double value = v[(o * ins + i) * taps + t];
        squares[place(o, i)] += value * value;
      }
  std::vector<double> factors(squares.size());
  for (size_t k = 0; k < factors.size(); ++k)
    factors[k] = squares[k] > 0.0 ? m[static_cast<int64_t>(k)] / std::sqrt(squares[k]) : 1.0;
  parallel_for(outs, [&](int64_t o) {
    for (int64_t i = 0; i < ins; ++i) {
      const double factor = factors[place(o, i)];
      for (int64_t t = 0; t < taps; ++t) {
        const int64_t at = (o * ins + i) * taps + t;
        to[at] = static_cast<float>(factor * v[at] - own[at]);
      }
    }
  });
  return out;
}

// Which axis a magnitude belongs to. LyCORIS writes [out,1(,1,1)] or [1,in(,1,1)]; diffusers [out] or, of a
// convolution, [1,out,1,1], which is always the output's.
int dora_axis(const Parts& parts) {
  const bool diffusers = parts.has(Part::kOutMagnitude);
  const Part part = diffusers ? Part::kOutMagnitude : Part::kMagnitude;
  const Shape& shape = parts.group().shape(part);
  const bool of_input = !diffusers && shape.rank() >= 2 && shape[0] == 1 && (shape[1] != 1 || parts.shape()[0] != 1);
  const int axis = of_input ? 1 : 0;
  parts.check(shape.numel() == parts.shape()[axis], part);
  return axis;
}

// Along the output or the input, each row or column of the weight times its factor.
Tensor ia3(const Tensor& weight, const Tensor& factors, int axis) {
  const int64_t outs = weight.dim(0), ins = weight.dim(1), taps = weight.numel() / (outs * ins);
  Tensor change = Tensor::empty(weight.shape());
  const HostView<float> from(weight), by(factors);
  const HostEdit<float> to(change);
  parallel_for(outs, [&](int64_t o) {
    for (int64_t i = 0; i < ins; ++i)
      for (int64_t t = 0; t < taps; ++t) {
        const int64_t at = (o * ins + i) * taps + t;
        to[at] = from[at] * by[axis == 0 ? o : i];
      }
  });
  return change;
}

// Adds s times what `make` gives from the weight and the parts, on the host, once the changes are merged.
template <class Make>
void add_difference(std::shared_ptr<const Parts> parts, double s, const nn::Param& param, Device device, Make make,
                    nn::Adapters& out) {
  if (s == 0.0) return;
  out.add(param, [s, device, parts = std::move(parts), make](const Tensor& value) {
    return (make(value ? value.to(Device::kCpu) : value, *parts) * static_cast<float>(s)).to(device);
  });
}

void add_product(const std::shared_ptr<const Parts>& parts, double s, nn::Param& weight, nn::Adapters& out) {
  const Device device = weight.value.device();
  if (parts->group().is_dora()) {
    const int axis = dora_axis(*parts);
    const Part magnitude = parts->has(Part::kOutMagnitude) ? Part::kOutMagnitude : Part::kMagnitude;
    add_difference(
        parts, s, weight, device,
        [axis, magnitude](const Tensor& value, const Parts& of) {
          return dora(value, plain_change(of), of.wide(magnitude), axis);
        },
        out);
  } else if (parts->group().kind() == Kind::kLora) {
    nn::LowRank change = read_lora(*parts);
    change.scale = static_cast<float>(s * double{change.scale});
    change.down = change.down.to(device);
    change.up = change.up.to(device);
    out.add(weight, std::move(change));
  } else {
    add_difference(
        parts, s, weight, device, [](const Tensor&, const Parts& of) { return plain_change(of); }, out);
  }
}

// A part that is added as it is, times s.
void add_plain(const AdapterFile& file, const Group& group, Part part, double s, const nn::Param* param, Device device,
               nn::Adapters& out) {
  if (!group.has(part)) return;
  const auto parts = std::make_shared<const Parts>(file, group, param != nullptr ? param->shape : Shape());
  parts->check(param != nullptr && group.shape(part).numel() == param->shape.numel(), part);
  add_difference(
      parts, s, *param, device, [part](const Tensor&, const Parts& of) { return of.wide(part).reshape(of.shape()); },
      out);
}

}  // namespace

void add_change(const AdapterFile& file, const Group& group, double s, const Layer& layer, nn::Adapters& out) {
  nn::Param& weight = *layer.weight;
  const Device device = weight.value.device();
  const Kind kind = group.kind();
  const bool of_matrix = kind == Kind::kLora || kind == Kind::kLoha || kind == Kind::kLokr || kind == Kind::kIa3;
  SUMI_CHECK(!of_matrix || weight.shape.rank() >= 2, "{}: \"{}\" is a {} change, and the layer is a norm", file.path(),
             shorten(strip_control(group.module), 160), name_of(kind));
  const auto parts = std::make_shared<const Parts>(file, group, weight.shape);
  if (kind == Kind::kIa3) {
    const int axis = file.number(group, Part::kOnInput).value_or(0.0) != 0.0 ? 1 : 0;
    parts->check(group.shape(Part::kIa3).numel() == weight.shape[axis], Part::kIa3);
    add_difference(
        parts, s, weight, device,
        [axis](const Tensor& value, const Parts& of) { return ia3(value, of.wide(Part::kIa3), axis); }, out);
  } else if (of_matrix) {
    add_product(parts, s, weight, out);
  }
  add_plain(file, group, Part::kDiff, s, &weight, device, out);
  add_plain(file, group, Part::kNorm, s, &weight, device, out);
  add_plain(file, group, Part::kNormBias, s, layer.bias, device, out);
  add_plain(file, group, Part::kDiffBias, s, layer.bias, device, out);
  // The bias of `up` is scaled as the product is.
  add_plain(file, group, Part::kUpBias, s * double{parts->scale()}, layer.bias, device, out);
}

Kept values_kept(const Group& group, int64_t weight) {
  const auto values = [&](Part part) { return group.has(part) ? static_cast<double>(group.shape(part).numel()) : 0.0; };
  const auto per_row = [&](Part part) {  // columns of a matrix, whatever its rank
    return group.has(part) && group.shape(part).rank() >= 2 && group.shape(part)[0] > 0
               ? values(part) / static_cast<double>(group.shape(part)[0])
               : 0.0;
  };
  const auto rows = [&](Part part) {
    return group.has(part) && group.shape(part).rank() >= 1 ? static_cast<double>(group.shape(part)[0]) : 0.0;
  };
  const auto taps = [&](Part part) {
    return group.has(part) && group.shape(part).rank() == 4
               ? static_cast<double>(group.shape(part)[2]) * static_cast<double>(group.shape(part)[3])
               : 1.0;
  };
  Kept kept;
  double dense = 0.0;
  switch (group.kind()) {
    case Kind::kLora:
      // With a core, which need not be square, its own rows times the columns of `down`.
      kept.low_rank =
          values(Part::kUp) +
          (group.has(Part::kMid) ? rows(Part::kMid) * per_row(Part::kDown) * taps(Part::kMid) : values(Part::kDown));
      dense = rows(Part::kUp) * per_row(Part::kDown) * taps(Part::kMid);
      kept.merges = group.is_dora();
      break;
    case Kind::kLoha: {
      const bool core = group.has(Part::kHadaT1);
      dense = (core ? per_row(Part::kHada1A) : rows(Part::kHada1A)) * per_row(Part::kHada1B) * taps(Part::kHadaT1);
      kept.merges = true;
      break;
    }
    case Kind::kLokr: {
      const double first = values(Part::kLokr1) + rows(Part::kLokr1A) * per_row(Part::kLokr1B);
      const bool core = group.has(Part::kLokrT2);
      const double second = values(Part::kLokr2) + (core ? per_row(Part::kLokr2A) : rows(Part::kLokr2A)) *
                                                       per_row(Part::kLokr2B) * taps(Part::kLokrT2);
      dense = first * second;
      kept.merges = true;
      break;
    }
    case Kind::kIa3: dense = values(Part::kIa3) * values(Part::kIa3), kept.merges = true; break;
    case Kind::kFull: dense = values(Part::kDiff), kept.merges = true; break;
    case Kind::kNorm: dense = values(Part::kNorm), kept.merges = true; break;
    case Kind::kBias:
    case Kind::kNothing: break;
  }
  kept.dense = weight > 0 ? static_cast<double>(weight) : dense;
  kept.bias = std::max({values(Part::kDiffBias), values(Part::kUpBias), values(Part::kNormBias)});
  return kept;
}

}  // namespace sumi::models::lora
