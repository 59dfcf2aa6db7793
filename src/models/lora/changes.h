// What a group of an adapter file changes in a layer: every kind's formula.
//
// W is the layer's weight (a convolution's as [out, in, kh, kw]), s the weight that the user gives the file.
//   LoRA    W + s·alpha/r·up·down                                      (Hu et al. 2021)
//   LoHa    W + s·alpha/r·(w1a·w1b) ∘ (w2a·w2b)                        (Hyeon-Woo et al. 2022)
//   LoKr    W + s·c·kron(w1, w2), c = alpha/r, or 1 where both are full (Yeh et al. 2023, LyCORIS)
//   (IA)³   W·(1 + s·w) along the output or the input                  (Liu et al. 2022)
//   full    W + s·diff, bias + s·diff_b; norms likewise
//   DoRA    V = W + change without s, n its norms: W + s·(V·m/n − W)   (Liu et al. 2024; the blend of the web UIs)
#pragma once

#include "models/lora/file.h"
#include "nn/adapters.h"

namespace sumi::models::lora {

// A layer's parameters; null: it has none that could be changed.
struct Layer {
  nn::Param* weight = nullptr;
  nn::Param* bias = nullptr;
};

// Adds the group's change, times `s`, to `out`. The file may be closed afterwards. Throws Error(kData) where the shapes
// do not fit the layer (some of it only in out.finish(), which makes the sums), and as AdapterFile::tensor does.
void add_change(const AdapterFile& file, const Group& group, double s, const Layer& layer, nn::Adapters& out);

// float32 values that the change of the group keeps, at most: `low_rank` beside the weight, `dense` where it is merged,
// and `bias`.
// `weight` is the number of values of the layer's weight, 0 where the model is not known.
struct Kept {
  double low_rank = 0.0;
  double dense = 0.0;
  double bias = 0.0;    // of the copy of the layer's bias, always
  bool merges = false;  // always
};
Kept values_kept(const Group& group, int64_t weight);

}  // namespace sumi::models::lora
