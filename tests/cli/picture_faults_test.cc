// Pictures that are none, wherever a picture can be given (battery 104 to 123): one sentence, and nothing is written.
#include "tests/cli/cli_fixture.h"
#include "tests/support/control_files.h"
#include "tests/support/made_png.h"

namespace sumi::test {
namespace {

struct Role {
  std::string name;
  Words words;  // BAD stands for the file
};

class PictureFaults : public CliTest, public testing::WithParamInterface<Role> {
 protected:
  void SetUp() override {
    image::Image good(64, 64);
    for (size_t i = 0; i < good.pixels.size(); ++i) good.pixels[i] = static_cast<uint8_t>(i * 7 + i / 64);
    image::write_png(here() / "good.png", good);
    if (GetParam().name == "control") io::write_safetensors(here() / "control.safetensors", tiny_control());
    if (GetParam().name == "upscale") io::write_safetensors(here() / "x4.safetensors", tiny_upscaler("x4"));
  }

  std::map<std::string, std::string> bad_files() const {
    const std::string good = read_bytes(here() / "good.png");
    std::string bad_sum = good, jpeg("\xFF\xD8\xFF\xE0", 4);
    bad_sum[bad_sum.size() / 2] = static_cast<char>(bad_sum[bad_sum.size() / 2] ^ 1);
    jpeg += std::string(40, '\x11');
    const std::string huge = png_of_size(0x7FFFFFFF, 1), bomb = png_of_size(16384, 16384);
    return {{"empty", ""},
            {"text", "no picture\n"},
            {"svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>"},
            {"cut", good.substr(0, good.size() / 2)},
            {"no_end", good.substr(0, good.size() - 12)},
            {"bad_sum", bad_sum},
            {"huge", huge},
            {"bomb", bomb},
            {"jpeg", jpeg},
            {"webp", std::string("RIFF\xFF\xFF\xFF\x7FWEBPVP8L", 16)}};
  }

  // Its header alone.
  static std::string png_of_size(uint32_t width, uint32_t height) {
    const std::string header = big_endian(width, 4) + big_endian(height, 4) + std::string("\x08\x02\0\0\0", 5);
    return "\x89PNG\r\n\x1A\n" + png_chunk("IHDR", header) + png_chunk("IDAT", "x") + png_chunk("IEND", "");
  }

  Outcome give(const std::string& file) const {
    Words line;
    for (std::string word : GetParam().words) {
      const size_t at = word.find("BAD");
      if (at != std::string::npos) word.replace(at, 3, file);
      line.push_back(word);
    }
    const Words more = GetParam().name == "upscale" ? Words{} : model() + Words{"--steps", "2"};
    return sumi(line + more);
  }
};

TEST_P(PictureFaults, AreOneSentence) {
  for (const auto& [name, bytes] : bad_files()) {
    write_file(here() / "bad.png", bytes);
    const Words before = names_in(here());
    const Outcome outcome = give("bad.png");
    EXPECT_EQ(outcome.code, 65) << name << ": " << outcome.err;
    EXPECT_FALSE(outcome.killed) << name;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << name << ": " << outcome.err;
    EXPECT_THAT(outcome.err, testing::HasSubstr("bad.png")) << name;
    EXPECT_EQ(names_in(here()), before) << name;
  }
  EXPECT_EQ(give("nowhere.png").code, 66);
  EXPECT_EQ(give(".").code, GetParam().name == "init" ? 65 : 66);  // a folder: its pictures, of which one is bad
}

INSTANTIATE_TEST_SUITE_P(
    All, PictureFaults,
    testing::Values(Role{"init", {"a", "-o", "out", "--init", "BAD"}},
                    Role{"mask", {"a", "-o", "out.png", "--init", "good.png", "--mask", "BAD"}},
                    Role{"control", {"a", "-o", "out.png", "--control", "control.safetensors:BAD"}},
                    Role{"upscale", {"upscale", "BAD", "--model", "x4.safetensors", "-o", "out.png"}}),
    [](const auto& test) { return test.param.name; });

class SeamTest : public CliTest {};

// The steps from pixel to pixel across the mask's border are of the size of those within the picture: what is put back
// softly leaves no edge.
TEST_F(SeamTest, TheBorderOfAMaskIsNoEdge) {
  image::Image given(128, 96);
  for (int64_t y = 0; y < 96; ++y) {
    for (int64_t x = 0; x < 128; ++x)
      for (int64_t c = 0; c < 3; ++c) given.row(y)[x * 3 + c] = static_cast<uint8_t>(80 + x / 2 + y / 2 + 10 * c);
  }
  image::Image mask(128, 96);
  for (int64_t y = 24; y < 72; ++y) std::fill_n(mask.row(y) + 40 * 3, 48 * 3, uint8_t{255});
  image::write_png(here() / "in.png", given);
  image::write_png(here() / "mask.png", mask);
  for (const Words& more : {Words{}, Words{"--mask-padding", "8", "--W", "64", "--H", "64"}}) {
    const Outcome outcome = sumi(Words{"a", "--init", "in.png", "--mask", "mask.png", "--steps", "6", "--seed", "5",
                                       "--strength", "0.3", "--quiet", "-o", "out.png"} +
                                 model() + more);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const image::Image out = image::read_png(here() / "out.png").image;
    const auto step = [&](int64_t y, int64_t x) {  // to the right neighbour
      int most = 0;
      for (int64_t c = 0; c < 3; ++c)
        most = std::max(most, std::abs(int{out.row(y)[x * 3 + c]} - int{out.row(y)[(x + 1) * 3 + c]}));
      return most;
    };
    std::vector<int> inside;
    for (int64_t y = 32; y < 64; ++y)
      for (int64_t x = 48; x < 80; ++x) inside.push_back(step(y, x));
    std::sort(inside.begin(), inside.end());
    const int usual = inside[inside.size() * 99 / 100];
    int across = 0;
    for (int64_t y = 32; y < 64; ++y)
      for (const int64_t x : {38, 39, 40, 86, 87, 88}) across = std::max(across, step(y, x));
    EXPECT_LE(across, usual);
  }
}

}  // namespace
}  // namespace sumi::test
