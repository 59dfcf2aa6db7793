// The settings text of a picture: written, read back, and read as other programs do.
#include "image/metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/support/cpu_seconds.h"
#include "tests/support/infotext_readers.h"

namespace sumi::image {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

GenerationParameters example() {
  return {.prompt = "a photograph of an astronaut riding a horse",
          .negative_prompt = "blurry",
          .steps = 50,
          .sampler = "PLMS",
          .schedule = "uniform",
          .guidance = 7.5,
          .seed = 42,
          .size = PictureSize{512, 768},
          .model = "sd-v1-4",
          .version = "sumi 0.1.0"};
}

// Every member has a value, and no two the same.
GenerationParameters everything() {
  GenerationParameters p{.prompt = "a cat,\n(red:1.2) hat", .negative_prompt = "x: y, z\nw"};
  int64_t count = 1;
  const auto fill = [&]<class T>(std::string_view, T& member) {
    ++count;
    if constexpr (std::same_as<T, bool>) {
      member = true;
    } else if constexpr (std::same_as<T, std::string> || std::same_as<T, std::optional<std::string>>) {
      member = "text " + std::to_string(count) + (count % 2 == 0 ? ", \"with\": all\\ \n of it" : "");
    } else if constexpr (std::same_as<T, std::optional<double>>) {
      member = static_cast<double>(count) / 3.0;
    } else if constexpr (std::same_as<T, std::optional<int64_t>>) {
      member = count;
    } else if constexpr (std::same_as<T, std::optional<uint64_t>>) {
      member = ~static_cast<uint64_t>(count);
    } else if constexpr (std::same_as<T, std::optional<PictureSize>>) {
      member = PictureSize{count, 2 * count};
    } else if constexpr (std::same_as<T, std::vector<std::string>>) {
      member = {"one " + std::to_string(count), "", "t,h:ree"};
    } else {
      member = {{.module = "canny",
                 .model = "m " + std::to_string(count),
                 .resize = "Just Resize",
                 .mode = "Balanced",
                 .weight = 0.1,
                 .start = 0.25,
                 .end = 1.0 / 3.0},
                {.model = "a, b: \"c\"\\ \nd [12]", .mode = " x"},
                {.model = "n"}};
    }
  };
  visit_parameters(p, fill);
  return p;
}

TEST(Metadata, EveryMemberIsReadBackExactly) {
  const GenerationParameters p = everything();
  const GenerationParameters back = parse_parameters(format_parameters(p));
  EXPECT_TRUE(back == p) << format_parameters(p) << "\n" << format_parameters(back);
  EXPECT_THAT(back.other, testing::IsEmpty());
}

TEST(Metadata, KeysDiffer) {
  std::vector<std::string> keys;
  visit_parameters(example(), [&](std::string_view key, const auto&) { keys.emplace_back(key); });
  const auto count = keys.size();
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  EXPECT_EQ(keys.size(), count);
}

TEST(Metadata, NumbersHaveTheFewestDigitsThatGiveThemBack) {
  GenerationParameters p = example();
  for (const auto& [value, text] : std::vector<std::pair<double, std::string>>{{7.0, "CFG scale: 7,"},
                                                                               {7.5, "CFG scale: 7.5,"},
                                                                               {0.1, "CFG scale: 0.1,"},
                                                                               {1.0 / 3, "0.3333333333333333,"},
                                                                               {1e-7, "CFG scale: 1e-07,"}}) {
    p.guidance = value;
    EXPECT_THAT(format_parameters(p), HasSubstr(text));
    EXPECT_EQ(parse_parameters(format_parameters(p)).guidance, value);
  }
  p.seed = 18446744073709551615u;
  EXPECT_EQ(parse_parameters(format_parameters(p)).seed, p.seed);
}

TEST(Metadata, IsReadByOthers) {
  const std::string text = format_parameters(everything());
  const test::Infotext web = test::read_as_web_ui(text);
  EXPECT_EQ(web.prompt, everything().prompt);
  EXPECT_EQ(web.negative, everything().negative_prompt);
  visit_parameters(everything(), [&](std::string_view key, const auto& member) {
    using T = std::decay_t<decltype(member)>;
    if constexpr (std::same_as<T, std::string>) {
      EXPECT_EQ(web.fields.at(std::string(key)), member);
    }
  });
  EXPECT_EQ(web.fields.at("Size-2"), std::to_string(2 * std::stoi(web.fields.at("Size-1"))));
  EXPECT_EQ(web.fields.at("ControlNet 2"), "Model: n");
  const test::Infotext civitai = test::read_as_civitai(format_parameters(example()));
  EXPECT_EQ(civitai.prompt, example().prompt);
  EXPECT_EQ(civitai.negative, "blurry");
  EXPECT_EQ(civitai.fields.at("Steps"), "50");
  EXPECT_EQ(civitai.fields.at("Sampler"), "PLMS");
  EXPECT_EQ(civitai.fields.at("Seed"), "42");
  EXPECT_EQ(civitai.fields.at("CFG scale"), "7.5");
  EXPECT_EQ(civitai.fields.at("Size"), "512x768");
  EXPECT_EQ(civitai.fields.at("Model"), "sd-v1-4");
}

// Prompts that look like settings are given once more, in quotes.
TEST(Metadata, PromptsThatWouldBeReadAsOthers) {
  for (const std::string prompt :
       {"a cat\nNegative prompt: a dog", "Negative prompt: x", "Steps: 1, Sampler: a, Seed: 2",
        "a\n\"quoted\" \\ Negative prompt:", "", "a cat\n\nSteps: 3", "Negative prompt:"}) {
    GenerationParameters p = example();
    p.prompt = prompt;
    const std::string text = format_parameters(p);
    EXPECT_EQ(parse_parameters(text).prompt, prompt) << text;
    EXPECT_EQ(parse_parameters(text).negative_prompt, "blurry") << text;
    EXPECT_EQ(test::read_as_web_ui(text).prompt, prompt) << text;
    EXPECT_EQ(test::read_as_web_ui(text).fields.at("Steps"), "50") << text;
  }
  EXPECT_THAT(format_parameters(example()), Not(HasSubstr("Prompt:")));
}

TEST(Metadata, ReadsWhatOthersWrite) {
  const GenerationParameters p = parse_parameters(
      "a cat, \"quoted\"\nsecond line\nNegative prompt: bad\nworse\n"
      "Steps: 20, Sampler: DPM++ 2M SDE Karras, CFG scale: 7, Seed: 965400086, Size: 512x768, Model hash: 45dee52b, "
      "Lora hashes: \"a: 12, b: 34\", Hires prompt: \"x, \\u00e9\\ud83d\\ude00 \\\"y\\\"\", Steps2: no, Clip skip: 2");
  EXPECT_EQ(p.prompt, "a cat, \"quoted\"\nsecond line");
  EXPECT_EQ(p.negative_prompt, "bad\nworse");
  EXPECT_EQ(p.steps, 20);
  EXPECT_EQ(p.sampler, "DPM++ 2M SDE Karras");
  EXPECT_EQ(p.guidance, 7.0);
  EXPECT_EQ(p.size, (PictureSize{512, 768}));
  EXPECT_EQ(p.hires_prompt, "x, é😀 \"y\"");
  EXPECT_EQ(p.clip_skip, 2);
  EXPECT_THAT(p.other,
              ElementsAre(Pair("Model hash", "45dee52b"), Pair("Lora hashes", "a: 12, b: 34"), Pair("Steps2", "no")));
  // Something after the settings: Civitai's rule.
  EXPECT_EQ(parse_parameters("a\nSteps: 5, Seed: 1\nTime taken: 3 s").steps, 5);
  EXPECT_EQ(parse_parameters("a cat").prompt, "a cat");
  EXPECT_EQ(parse_parameters("").prompt, "");
}

TEST(Metadata, ValuesThatAreNoneAreKeptApart) {
  const GenerationParameters p = parse_parameters(
      "a\nSteps: twenty, Sampler: x, CFG scale: nan, Seed: -1, Size: 512, ControlNet 0: junk, ControlNet 99: a, Eta: "
      "1e999");
  EXPECT_EQ(p.steps, std::nullopt);
  EXPECT_EQ(p.guidance, std::nullopt);
  EXPECT_EQ(p.seed, std::nullopt);
  EXPECT_EQ(p.size, std::nullopt);
  EXPECT_EQ(p.other.size(), 7u);
}

// Nothing is left of values that are none, and what the text does not tell is as if nothing were there.
TEST(Metadata, ListsHaveWhatIsTold) {
  const std::string begin = "a\nSteps: 5, Sampler: x, Seed: 1, ";
  GenerationParameters p = parse_parameters(begin + "ControlNet 5: junk, Control image 99: x");
  EXPECT_THAT(p.controls, testing::IsEmpty());
  EXPECT_THAT(p.control_images, testing::IsEmpty());
  EXPECT_THAT(p.other, ElementsAre(Pair("ControlNet 5", "junk"), Pair("Control image 99", "x")));
  p = parse_parameters(begin + "ControlNet 2: \"Module: canny, Model: m, Weight: heavy\", ControlNet 1: \"Model: n\"");
  EXPECT_THAT(p.controls, ElementsAre(ControlParameters{}, ControlParameters{.model = "n"}));
  EXPECT_THAT(p.other, ElementsAre(Pair("ControlNet 2", "Module: canny, Model: m, Weight: heavy")));
  // A second one that is wrong leaves the first.
  p = parse_parameters(begin +
                       "ControlNet 0: \"Model: n\", ControlNet 0: \"Model: m, Weight: x\", Tiling: True, Tiling: 2");
  EXPECT_THAT(p.controls, ElementsAre(ControlParameters{.model = "n"}));
  EXPECT_TRUE(p.tiling);
}

TEST(Metadata, UnitsQuoteNamesThatWouldSplit) {
  GenerationParameters p = example();
  p.controls = {{.module = "canny", .model = "control_v11p [d14c016b]", .weight = 1.0}};
  EXPECT_THAT(format_parameters(p),
              HasSubstr("ControlNet 0: \"Module: canny, Model: control_v11p [d14c016b], Weight: 1\","));
  p.controls[0].model = "mine, new: \"2\"";
  EXPECT_THAT(format_parameters(p), HasSubstr(R"(Model: \"mine, new: \\\"2\\\"\", Weight: 1)"));
  EXPECT_EQ(parse_parameters(format_parameters(p)), p);
}

// Random texts, and good ones with bytes changed: nothing throws, and time is linear.
TEST(Metadata, AnyTextCanBeRead) {
  std::mt19937 random(7);
  const std::string good = format_parameters(everything());
  for (int i = 0; i < 3000; ++i) {
    std::string text = good;
    for (int change = 0; change < 1 + i % 8; ++change) {
      const size_t at = random() % text.size();
      constexpr std::string_view kBytes = "\",:\\\n x0\xff";
      if (random() % 3 == 0) {
        text.erase(at, random() % 20);
      } else {
        text[at] = kBytes[random() % kBytes.size()];
      }
      if (text.empty()) text = "a";
    }
    const GenerationParameters p = parse_parameters(text);
    format_parameters(p);
  }
  const double begin = test::cpu_seconds();
  for (const char* part : {"a:", "a,", "\"", "\\", "Steps: \n", "ab: \"", "ab: \"c\", ", " ", "a b:"}) {
    std::string text = "x\n";
    while (text.size() < 1 << 20) text += part;
    parse_parameters(text);
  }
  EXPECT_LT(test::cpu_seconds() - begin, 5.0);
}

TEST(Metadata, LeavesOutWhatIsEmpty) {
  GenerationParameters p = example();
  p.negative_prompt = p.schedule = p.model = "";
  EXPECT_EQ(format_parameters(p),
            "a photograph of an astronaut riding a horse\n"
            "Steps: 50, Sampler: PLMS, CFG scale: 7.5, Seed: 42, Size: 512x768, Version: sumi 0.1.0");
}

TEST(Metadata, QuotesValuesThatWouldSplit) {
  GenerationParameters p = example();
  p.model = "mine, \"best\": v2";
  EXPECT_NE(format_parameters(p).find("Model: \"mine, \\\"best\\\": v2\","), std::string::npos);
}

TEST(Metadata, StripsControlCharacters) {
  GenerationParameters p = example();
  p.prompt = "a\x1b[31m red\tcat\x7f\nsecond line\r";
  EXPECT_EQ(format_parameters(p).substr(0, 27), "a[31m red cat\nsecond line\nN");
  EXPECT_EQ(strip_controls("a\nb"), "a b");
  EXPECT_EQ(strip_controls("caf\u00e9 \u0085\u009b[2J 猫"), "caf\u00e9 [2J 猫");
  EXPECT_EQ(strip_controls(std::string("a\0b", 3)), "ab");
}

}  // namespace
}  // namespace sumi::image
