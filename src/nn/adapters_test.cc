#include "nn/adapters.h"

#include <gtest/gtest.h>

#include <thread>

#include "core/autograd.h"
#include "nn/layers.h"
#include "ops/layout.h"
#include "tests/support/random_tensor.h"
#include "tests/support/relative_l2.h"

namespace sumi::nn {
namespace {

using test::random;
using test::relative_l2;

// Sums of some hundred products in float32, in another order.
constexpr double kRounding = 2e-6;

Param& weight_of(Module& layer) {
  Param* found = nullptr;
  for_each_param(layer, "", [&](const std::string& name, Param& param) {
    if (name == "weight") found = &param;
  });
  return *found;
}

void fill(Module& layer) {
  for_each_param(layer, "", [](const std::string&, Param& param) { param.value = random(param.shape, 0.2f); });
}

LowRank change_of(const Param& weight, int64_t rank, float scale = 0.7f) {
  Shape down = weight.shape;
  down[0] = rank;
  return {.down = random(down, 0.3f), .up = random({weight.shape[0], rank}, 0.3f), .scale = scale};
}

// weight + Σ scale·up·down, each value summed in double.
Tensor changed(const Tensor& weight, const std::vector<LowRank>& changes) {
  Tensor out = cast(weight, DType::kF32).clone();
  const int64_t outs = weight.dim(0), ins = weight.numel() / outs;
  const HostEdit<float> values(out);
  for (const LowRank& change : changes) {
    const Tensor down32 = cast(change.down, DType::kF32), up32 = cast(change.up, DType::kF32);
    const HostView<float> down(down32), up(up32);
    const int64_t rank = change.rank();
    for (int64_t o = 0; o < outs; ++o) {
      for (int64_t i = 0; i < ins; ++i) {
        double sum = 0.0;
        for (int64_t r = 0; r < rank; ++r) sum += double{up[o * rank + r]} * down[r * ins + i];
        values[o * ins + i] += static_cast<float>(change.scale * sum);
      }
    }
  }
  return out;
}

Adapters adapters_of(const Param& weight, const std::vector<LowRank>& changes) {
  Adapters adapters;
  for (const LowRank& change : changes) adapters.add(weight, change);
  adapters.finish();
  return adapters;
}

// What `work` gives with the changes beside the weight, and with a weight that has them in it.
template <class Work>
void expect_as_if_changed(Module& layer, const std::vector<LowRank>& changes, const Work& work, double tolerance) {
  Param& weight = weight_of(layer);
  const Tensor before = work(), kept = weight.value, bytes = kept.clone();
  Tensor got;
  {
    const Adapters adapters = adapters_of(weight, changes);
    const AdaptersScope scope(&adapters);
    got = work();
  }
  EXPECT_TRUE(test::same_bytes(kept, bytes)) << "the weight was changed";
  EXPECT_TRUE(test::same_bytes(work(), before)) << "the change outlived its scope";
  weight.value = changed(kept, changes);
  const Tensor want = work();
  weight.value = kept;
  EXPECT_GT(relative_l2(want, before), 1e-2);
  EXPECT_LE(relative_l2(got, want), tolerance);
}

TEST(Adapters, ChangeALinearLayer) {
  Linear layer(96, 70);
  fill(layer);
  const Tensor x = random({2, 13, 96}), residual = random({2, 13, 70});
  for (const int64_t rank : {1, 5, 16, 39, 41, 200}) {  // from 41 on a copy has fewer values
    const std::vector<LowRank> changes{change_of(weight_of(layer), rank)};
    expect_as_if_changed(
        layer, changes, [&] { return layer(x); }, kRounding);
    expect_as_if_changed(
        layer, changes, [&] { return layer(x, {.act = Act::kSilu, .residual = residual}); }, kRounding);
    expect_as_if_changed(
        layer, changes, [&] { return layer.gated(x); }, kRounding);
  }
}

TEST(Adapters, ChangeAConvolution) {
  Conv2d layer(24, 18, {.kernel = 3, .stride = 2, .pad_begin = 1});
  fill(layer);
  const Tensor x = random({2, 9, 8, 24}), residual = random({2, 5, 4, 18});
  for (const int64_t rank : {2, 20}) {
    expect_as_if_changed(
        layer, {change_of(weight_of(layer), rank)}, [&] { return layer(x, residual); }, kRounding);
  }
}

TEST(Adapters, AddUpOverAnyNumberOfChangesInAnyType) {
  Linear layer(64, 64, {.conv_1x1 = true});
  fill(layer);
  Param& weight = weight_of(layer);
  const Tensor x = random({30, 64});
  std::vector<LowRank> changes{change_of(weight, 3, 0.5f), change_of(weight, 8, -1.5f), change_of(weight, 1)};
  changes[1].down = cast(changes[1].down, DType::kF16);
  changes[2].up = cast(changes[2].up, DType::kBF16);
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kQ8}) {
    weight.value = cast(random({64, 64}, 0.2f), dtype).reshape(weight.shape);
    expect_as_if_changed(
        layer, changes, [&] { return layer(x); }, kRounding);
    expect_as_if_changed(
        layer, {changes[1]}, [&] { return layer(x); }, kRounding);
  }
  for (int i = 0; i < 3; ++i) changes.push_back(change_of(weight, 9));  // together 39: a copy
  EXPECT_EQ(adapters_of(weight, changes).merged_weights(), 1);
  expect_as_if_changed(
      layer, changes, [&] { return layer(x); }, kRounding);
}

TEST(Adapters, TakeTheFewerBytes) {
  Linear layer(40, 60);
  fill(layer);
  const Param& weight = weight_of(layer);
  const auto with = [&](const std::vector<int64_t>& ranks) {
    std::vector<LowRank> changes;
    for (const int64_t rank : ranks) changes.push_back(change_of(weight, rank));
    return adapters_of(weight, changes);
  };
  // 40·60 / (40 + 60) = 24
  EXPECT_EQ(with({23}).bytes(), 23 * 100 * 4);
  EXPECT_EQ(with({23}).low_rank_weights(), 1);
  EXPECT_EQ(with({20, 3}).bytes(), 23 * 100 * 4);
  EXPECT_EQ(with({24}).bytes(), 40 * 60 * 4);
  EXPECT_EQ(with({24}).merged_weights(), 1);
  EXPECT_EQ(with({12, 12}).merged_weights(), 1);
  EXPECT_EQ(with({500}).bytes(), 40 * 60 * 4);
  LowRank halved = change_of(weight, 10);
  halved.down = cast(halved.down, DType::kF16);
  EXPECT_EQ(adapters_of(weight, {halved}).bytes(), 10 * 40 * 2 + 10 * 60 * 4);
  EXPECT_EQ(adapters_of(weight, {}).bytes(), 0);
}

TEST(Adapters, AChangeOfScaleZeroIsNone) {
  Linear layer(40, 60);
  fill(layer);
  const Adapters adapters = adapters_of(weight_of(layer), {change_of(weight_of(layer), 4, 0.0f)});
  EXPECT_EQ(adapters.bytes(), 0);
  EXPECT_EQ(adapters.low_rank_weights() + adapters.merged_weights(), 0);
}

TEST(Adapters, BelongToTheThreadsRun) {
  Linear layer(64, 64);
  fill(layer);
  const Tensor x = random({40, 64});
  const Adapters first = adapters_of(weight_of(layer), {change_of(weight_of(layer), 4)}),
                 second = adapters_of(weight_of(layer), {change_of(weight_of(layer), 60)});
  const auto run = [&](const Adapters* adapters) {
    const AdaptersScope scope(adapters);
    return layer(x);
  };
  const Tensor plain = run(nullptr), want_first = run(&first), want_second = run(&second);
  EXPECT_FALSE(test::same_bytes(want_first, plain));
  EXPECT_FALSE(test::same_bytes(want_second, plain));
  std::vector<std::thread> threads;
  std::vector<Tensor> got(3);
  const Adapters* adapters[] = {nullptr, &first, &second};
  for (size_t i = 0; i < got.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 20; ++round) got[i] = run(adapters[i]);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(test::same_bytes(got[0], plain));
  EXPECT_TRUE(test::same_bytes(got[1], want_first));
  EXPECT_TRUE(test::same_bytes(got[2], want_second));
}

// A change that is trained is not merged, whatever its rank. Gradients reach its parts, also where the forward pass is
// checkpointed and the backward pass runs outside the scope.
TEST(Adapters, AreTrainedWhereTheyRequireGradients) {
  Linear layer(12, 8);
  fill(layer);
  LowRank change = change_of(weight_of(layer), 20);
  change.down.set_requires_grad(true);
  change.up.set_requires_grad(true);
  const Adapters adapters = adapters_of(weight_of(layer), {change});
  EXPECT_EQ(adapters.low_rank_weights(), 1);
  const Tensor x = random({6, 12}), residual = random({6, 8});
  const auto gradients = [&](bool checkpointed) {
    change.down.clear_grad();
    change.up.clear_grad();
    const auto call = [&](const std::vector<Tensor>& in) {
      return layer.gated(layer(in[0], {.act = Act::kSilu, .residual = in[1]}).reshape({-1, 12}));
    };
    Tape tape;
    Tensor y;
    {
      const AdaptersScope scope(&adapters);
      y = checkpointed ? checkpoint(call, {x, residual}) : call({x, residual});
    }
    tape.backward(y, Tensor::full(y.shape(), 1.0f));
    return std::pair{change.down.grad().clone(), change.up.grad().clone()};
  };
  const auto [down, up] = gradients(false);
  const auto [down_again, up_again] = gradients(true);
  EXPECT_GT(relative_l2(down, Tensor::zeros(down.shape())), 0.0);
  EXPECT_TRUE(test::same_bytes(down, down_again));
  EXPECT_TRUE(test::same_bytes(up, up_again));
}

TEST(Adapters, RefuseWhatIsNotInOrder) {
  Linear layer(12, 8);
  LayerNorm norm(8);
  Param& weight = weight_of(layer);
  Adapters adapters;
  EXPECT_THROW(adapters.add(weight, change_of(weight, 2)), Error) << "not bound";
  fill(layer);
  fill(norm);
  EXPECT_THROW(adapters.add(weight_of(norm), {.down = random({2, 4}), .up = random({8, 2})}), Error);
  EXPECT_THROW(adapters.add(weight, LowRank{}), Error);
  EXPECT_THROW(adapters.add(weight, {.down = random({2, 12}), .up = random({8, 3})}), Error);
  EXPECT_THROW(adapters.add(weight, {.down = random({2, 11}), .up = random({8, 2})}), Error);
  EXPECT_THROW(adapters.add(weight, {.down = random({2, 12}), .up = random({7, 2})}), Error);
  EXPECT_THROW(adapters(weight), Error) << "not finished";
  adapters.finish();
  EXPECT_THROW(adapters.add(weight, change_of(weight, 2)), Error);
  Adapters trained;
  LowRank change = change_of(weight, 2);
  change.up.set_requires_grad(true);
  trained.add(weight, change);
  trained.add(weight, change_of(weight, 2));
  EXPECT_THROW(trained.finish(), Error);
}

}  // namespace
}  // namespace sumi::nn
