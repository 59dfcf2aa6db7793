// Both halves of CLIP against the same sums written out in double, over random weights.
#include "models/clip_pair/clip_pair.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/check.h"
#include "tests/support/random_clip.h"
#include "tests/support/temp_folder.h"

namespace sumi::models {
namespace {

using Row = std::vector<double>;
using Rows = std::vector<Row>;

using test::RandomClip;
constexpr int64_t kSide = RandomClip::kSide, kPatch = RandomClip::kPatch, kVision = RandomClip::kVision,
                  kText = RandomClip::kText, kCommon = RandomClip::kCommon, kPositions = RandomClip::kPositions;

class Oracle {
 public:
  explicit Oracle(const RandomClip& weights) : w_(weights) {}

  Row picture(const Tensor& x) const {
    Rows tokens(5, Row(kVision));
    const HostView<float> pixels(x), kernel(w_["vision_model.embeddings.patch_embedding.weight"]);
    const double mean[3] = {0.48145466, 0.4578275, 0.40821073}, deviation[3] = {0.26862954, 0.26130258, 0.27577711};
    for (int64_t o = 0; o < kVision; ++o) {
      tokens[0][static_cast<size_t>(o)] = w_["vision_model.embeddings.class_embedding"].host<float>()[o];
      for (int64_t patch = 0; patch < 4; ++patch) {
        double sum = 0.0;
        for (int64_t c = 0; c < 3; ++c) {
          for (int64_t i = 0; i < kPatch * kPatch; ++i) {
            const int64_t y = patch / 2 * kPatch + i / kPatch, column = patch % 2 * kPatch + i % kPatch;
            const double value = (0.5 * pixels[(y * kSide + column) * 3 + c] + 0.5 - mean[c]) / deviation[c];
            sum += value * kernel[(o * 3 + c) * kPatch * kPatch + i];
          }
        }
        tokens[static_cast<size_t>(patch) + 1][static_cast<size_t>(o)] = sum;
      }
    }
    add(tokens, w_["vision_model.embeddings.position_embedding.weight"]);
    for (Row& row : tokens) row = norm(row, "vision_model.pre_layrnorm");
    transform(tokens, "vision_model.", 2, false);
    return unit(linear(norm(tokens[0], "vision_model.post_layernorm"), "visual_projection.weight", ""));
  }

  Row text(const std::vector<int64_t>& ids, size_t at) const {
    Rows tokens;
    const HostView<float> table(w_["text_model.embeddings.token_embedding.weight"]);
    for (const int64_t id : ids) tokens.emplace_back(table.begin() + id * kText, table.begin() + (id + 1) * kText);
    add(tokens, w_["text_model.embeddings.position_embedding.weight"]);
    transform(tokens, "text_model.", 1, true);
    return unit(linear(norm(tokens[at], "text_model.final_layer_norm"), "text_projection.weight", ""));
  }

 private:
  static void add(Rows& tokens, const Tensor& places) {
    const HostView<float> values(places);
    auto value = values.begin();
    for (Row& token : tokens) {
      for (double& v : token) v += *value++;
    }
  }

  static Row unit(Row x) {
    double sum = 0.0;
    for (const double v : x) sum += v * v;
    for (double& v : x) v /= std::sqrt(sum);
    return x;
  }

  Row linear(const Row& x, const std::string& weight, const std::string& bias) const {
    const Tensor& w = w_[weight];
    Row out(static_cast<size_t>(w.dim(0)));
    if (!bias.empty()) {
      const HostView<float> first(w_[bias]);
      std::copy(first.begin(), first.end(), out.begin());
    }
    const HostView<float> values(w);
    auto value = values.begin();
    for (double& sum : out) {
      for (const double v : x) sum += *value++ * v;
    }
    return out;
  }

  Row norm(const Row& x, const std::string& name) const {
    double mean = 0.0, variance = 0.0;
    for (const double v : x) mean += v / static_cast<double>(x.size());
    for (const double v : x) variance += (v - mean) * (v - mean) / static_cast<double>(x.size());
    Row out;
    const HostView<float> gain(w_[name + ".weight"]), bias(w_[name + ".bias"]);
    for (const double v : x) {
      const auto i = static_cast<int64_t>(out.size());
      out.push_back((v - mean) / std::sqrt(variance + 1e-5) * gain[i] + bias[i]);
    }
    return out;
  }

  void transform(Rows& x, const std::string& half, size_t heads, bool causal) const {
    const size_t width = x[0].size() / heads;
    for (int64_t layer = 0; layer < 2; ++layer) {
      const std::string name = half + "encoder.layers." + std::to_string(layer) + ".", attention = name + "self_attn.";
      Rows q, k, v, mixed(x.size(), Row(x[0].size()));
      for (const Row& row : x) {
        const Row h = norm(row, name + "layer_norm1");
        q.push_back(linear(h, attention + "q_proj.weight", attention + "q_proj.bias"));
        k.push_back(linear(h, attention + "k_proj.weight", attention + "k_proj.bias"));
        v.push_back(linear(h, attention + "v_proj.weight", attention + "v_proj.bias"));
      }
      for (size_t head = 0; head < heads; ++head) {
        for (size_t t = 0; t < x.size(); ++t) {
          Row share(causal ? t + 1 : x.size());
          double sum = 0.0;
          for (size_t s = 0; s < share.size(); ++s) {
            for (size_t c = head * width; c < (head + 1) * width; ++c) share[s] += q[t][c] * k[s][c];
            sum += share[s] = std::exp(share[s] / std::sqrt(static_cast<double>(width)));
          }
          for (size_t s = 0; s < share.size(); ++s) {
            for (size_t c = head * width; c < (head + 1) * width; ++c) mixed[t][c] += share[s] / sum * v[s][c];
          }
        }
      }
      for (size_t t = 0; t < x.size(); ++t) {
        const Row out = linear(mixed[t], attention + "out_proj.weight", attention + "out_proj.bias");
        for (size_t c = 0; c < out.size(); ++c) x[t][c] += out[c];
        Row hidden = linear(norm(x[t], name + "layer_norm2"), name + "mlp.fc1.weight", name + "mlp.fc1.bias");
        for (double& h : hidden) h /= 1.0 + std::exp(-1.702 * h);
        const Row more = linear(hidden, name + "mlp.fc2.weight", name + "mlp.fc2.bias");
        for (size_t c = 0; c < more.size(); ++c) x[t][c] += more[c];
      }
    }
  }

  const RandomClip& w_;
};

TEST(ClipPair, EmbedsAsTheFormulasSay) {
  const test::TempFolder folder;
  const RandomClip weights(30);
  weights.write(folder / "clip.safetensors");
  const ClipPair pair(*io::open_checkpoint(folder / "clip.safetensors"), Device::kCpu);
  EXPECT_EQ(pair.side(), kSide);
  EXPECT_EQ(pair.positions(), kPositions);
  const Oracle oracle(weights);
  const Tensor pictures = test::random({2, kSide, kSide, 3}, 0.5f);
  const Tensor seen = pair.embed_pictures(pictures);
  const std::vector<int64_t> ids{28, 3, 17, 29, 29, 29, 28, 5, 29, 29, 29, 29};
  const Tensor read = pair.embed_texts(Tensor::from(ids, {2, kPositions}), 29);
  for (int64_t n = 0; n < 2; ++n) {
    const Row picture = oracle.picture(pictures.rows(n, n + 1)),
              text = oracle.text({ids.begin() + n * kPositions, ids.begin() + (n + 1) * kPositions}, n == 0 ? 3 : 2);
    for (int64_t c = 0; c < kCommon; ++c) {
      EXPECT_NEAR(seen.host<float>()[n * kCommon + c], picture[static_cast<size_t>(c)], 1e-5) << n << " " << c;
      EXPECT_NEAR(read.host<float>()[n * kCommon + c], text[static_cast<size_t>(c)], 1e-5) << n << " " << c;
    }
  }
}

TEST(ClipPair, RefusesWhatIsNoSuchModel) {
  const test::TempFolder folder;
  const auto error_without = [&](const std::string& name) {
    RandomClip(30).write(folder / "x.safetensors", name);
    try {
      ClipPair(*io::open_checkpoint(folder / "x.safetensors"), Device::kCpu);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  EXPECT_NE(error_without("visual_projection.weight").find("visual_projection.weight"), std::string::npos);
  EXPECT_NE(error_without("vision_model.embeddings.patch_embedding.weight").find("CLIPModel"), std::string::npos);
  EXPECT_NE(error_without("text_model.final_layer_norm.bias").find("final_layer_norm.bias"), std::string::npos);
}

}  // namespace
}  // namespace sumi::models
