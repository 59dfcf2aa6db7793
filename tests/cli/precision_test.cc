// --precision: pictures of the bundled model in each type of activations.
#include "image/png.h"
#include "tests/cli/cli_fixture.h"

namespace sumi::test {
namespace {

class Precision : public CliTest {
 protected:
  static fs::path bundled() { return fs::path(SUMI_TEST_DATA) / "../../models/emoji/emoji.safetensors"; }

  image::Png draw(const Words& more) {
    const fs::path file = here() / (std::to_string(count_++) + ".png");
    const Outcome outcome = sumi(
        Words{"a red apple", "--ckpt", bundled().string(), "--seed", "1", "--steps", "12", "-o", file.string()} + more);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return image::read_png(file);
  }

  static std::string parameters(const image::Png& png) {
    for (const auto& [key, text] : png.texts) {
      if (key == "parameters") return text;
    }
    return {};
  }

  // The mean difference of the 8-bit values.
  static double distance(const image::Image& a, const image::Image& b) {
    double sum = 0.0;
    for (size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(int{a.pixels[i]} - int{b.pixels[i]});
    return sum / static_cast<double>(a.pixels.size());
  }

  int count_ = 0;
};

TEST_F(Precision, PicturesOfEachTypeAreNearlyTheSame) {
  if (!fs::exists(bundled())) GTEST_SKIP() << "the bundled model " << bundled() << " is not in this checkout";
  const image::Png full = draw({});
  EXPECT_EQ(parameters(full).find("Precision"), std::string::npos);
  EXPECT_EQ(distance(full.image, draw({"--precision", "full"}).image), 0.0);
  EXPECT_EQ(distance(full.image, draw({"--precision", "autocast"}).image), 0.0);
  const image::Png half = draw({"--precision", "f16"}), brain = draw({"--precision", "bf16"});
  EXPECT_NE(parameters(half).find("Precision: f16"), std::string::npos) << parameters(half);
  EXPECT_NE(parameters(brain).find("Precision: bf16"), std::string::npos);
  const double of_half = distance(full.image, half.image), of_brain = distance(full.image, brain.image);
  printf("mean difference of 8-bit values: f16 %.3f, bf16 %.3f\n", of_half, of_brain);
  // The bytes differ but the picture is nearly the same: another seed differs by 60.
  EXPECT_GT(of_half, 0.0);
  EXPECT_GT(of_brain, 0.0);
  EXPECT_LT(of_half, 0.5);
  EXPECT_LT(of_brain, 4.0);
}

TEST_F(Precision, OtherTypesAreRefused) {
  expect_refused(Words{"a tree", "--precision", "half"} + model(), 64,
                 "--precision must be full, f16, bf16 or autocast");
  expect_refused(Words{"a tree", "--precision", "q8_0"} + model(), 64, "--precision");
}

}  // namespace
}  // namespace sumi::test
