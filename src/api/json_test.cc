#include "api/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "tests/support/cpu_seconds.h"
#include "tests/support/rejected.h"

namespace sumi::api {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

// The sentence with which `parse` refuses `text`, within the bounds that bad input has.
template <class Parse> std::string refusal(Parse parse, const std::string& text) {
  const int64_t resident = test::status_kb("VmRSS");
  std::ofstream("/proc/self/clear_refs") << "5";  // resets the peak, if the system allows it
  const double begin = test::cpu_seconds();
  std::string sentence = "accepted";
  try {
    parse(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    sentence = error.what();
    EXPECT_EQ(sentence.find('\n'), std::string::npos);
    EXPECT_LT(sentence.size(), 900u);  // that of an unknown field names all there are
    EXPECT_EQ(sentence.find("--"), std::string::npos);
  }
  if (!test::kSanitized) {
    EXPECT_LT(test::cpu_seconds() - begin, 1.0) << sentence;
    EXPECT_LT(test::status_kb("VmHWM") - resident, 64 << 10) << sentence;
  }
  return sentence;
}

std::string refusal(const std::string& text) { return refusal(parse_request, text); }
// Of a request with `field` and one prompt.
std::string refused(const std::string& field) { return refusal(R"({"prompt": "a", )" + field + "}"); }
Request with(const std::string& field) { return parse_request(R"({"prompt": "a", )" + field + "}"); }

std::string repeat(const std::string& text, size_t count) {
  std::string out;
  out.reserve(text.size() * count);
  for (size_t i = 0; i < count; ++i) out += text;
  return out;
}

constexpr const char* kWholeRequest =
    R"({"prompts":["a cat","ein Hund, 犬"],"negative_prompt":"blurry","copies":2,"batch":3,"iterations":4,)"
    R"("width":64,"height":128,"sampler":"ddim","schedule":"uniform","steps":20,"scale":7.5,"eta":0.25,)"
    R"("seed":18446744073709551615,"seeds":[18446744073709551615,3],"seeding":"picture","rng":"cuda","fixed_noise":true,"syntax":"exact",)"
    R"("loras":[{"file":"a.safetensors","weight":0.5},{"file":"b.safetensors","weight":1.0,"unet":0.5,"text":0.25}],)"
    R"("lora_folder":"loras","embeddings":["cat.pt"],"embedding_folder":"words",)"
    R"("init":"a.png","strength":0.5,"resize":"crop","background":"#102030","convention":"webui","mask":"m.png",)"
    R"("mask_invert":true,"mask_blur":8,"mask_content":"fill","mask_padding":32,"extend":[8,0,16,24],)"
    R"("hires":{"scale":1.5,"upscaler":"lanczos","steps":7,"strength":0.25,"sampler":"euler","schedule":"karras",)"
    R"("guidance":3.5,"prompt":"c","negative_prompt":"d"},)"
    R"("controls":[{"model":"c.safetensors","image":"h.png","weight":0.5,"start":0.25,"end":0.75,)"
    R"("preprocess":"canny"}],"guess_mode":true,"seamless":"xy","subseed":9,"subseed_strength":0.125,)"
    R"("safety_checker":"checker","watermark":"StableDiffusionV1",)"
    R"("tiled_decode":true,"share":1,"share_of":2,"defaults":"original"})";

TEST(ApiJson, ReadsEveryFieldOfARequest) {
  const Request request = parse_request(kWholeRequest);
  EXPECT_EQ(request.prompts, (std::vector<std::string>{"a cat", "ein Hund, 犬"}));
  EXPECT_EQ(request.negative_prompt, "blurry");
  EXPECT_EQ(request.copies, 2);
  EXPECT_EQ(request.batch, 3);
  EXPECT_EQ(request.iterations, 4);
  EXPECT_EQ(request.width, 64);
  EXPECT_EQ(request.height, 128);
  EXPECT_EQ(request.sampler, "ddim");
  EXPECT_EQ(request.schedule, "uniform");
  EXPECT_EQ(request.steps, 20);
  EXPECT_EQ(request.scale, 7.5);
  EXPECT_EQ(request.eta, 0.25);
  EXPECT_EQ(request.share, 1);
  EXPECT_EQ(request.share_of, 2);
  EXPECT_EQ(request.seed, 18446744073709551615ull);
  EXPECT_EQ(request.seeds, (std::vector<uint64_t>{18446744073709551615ull, 3}));
  EXPECT_EQ(request.seeding, "picture");
  EXPECT_EQ(request.rng, "cuda");
  EXPECT_TRUE(request.fixed_noise);
  EXPECT_EQ(request.syntax, "exact");
  ASSERT_EQ(request.loras.size(), 2u);
  EXPECT_EQ(request.loras[0].file, "a.safetensors");
  EXPECT_EQ(request.loras[0].weight, 0.5);
  EXPECT_EQ(request.loras[1].weight, 1.0);
  EXPECT_EQ(request.loras[1].unet, 0.5);
  EXPECT_EQ(request.loras[1].text, 0.25);
  EXPECT_EQ(request.lora_folder, "loras");
  EXPECT_EQ(request.embeddings, std::vector<std::string>{"cat.pt"});
  EXPECT_EQ(request.embedding_folder, "words");
  EXPECT_EQ(request.init, "a.png");
  EXPECT_EQ(request.strength, 0.5);
  EXPECT_EQ(request.resize, "crop");
  EXPECT_EQ(request.background, "#102030");
  EXPECT_EQ(request.convention, "webui");
  EXPECT_EQ(request.mask, "m.png");
  EXPECT_TRUE(request.mask_invert);
  EXPECT_EQ(request.mask_blur, 8);
  EXPECT_EQ(request.mask_content, "fill");
  EXPECT_EQ(request.mask_padding, 32);
  EXPECT_EQ(request.extend, (std::vector<int64_t>{8, 0, 16, 24}));
  ASSERT_TRUE(request.hires);
  EXPECT_EQ(request.hires->scale, 1.5);
  EXPECT_EQ(request.hires->upscaler, "lanczos");
  EXPECT_EQ(request.hires->negative_prompt, "d");
  ASSERT_EQ(request.controls.size(), 1u);
  EXPECT_EQ(request.controls[0].image, "h.png");
  EXPECT_EQ(request.controls[0].end, 0.75);
  EXPECT_EQ(request.controls[0].preprocess, "canny");
  EXPECT_TRUE(request.guess_mode);
  EXPECT_EQ(request.seamless, "xy");
  EXPECT_EQ(request.subseed, 9u);
  EXPECT_EQ(request.subseed_strength, 0.125);
  EXPECT_EQ(request.safety_checker, "checker");
  EXPECT_EQ(request.watermark, "StableDiffusionV1");
  EXPECT_TRUE(request.tiled_decode);
  EXPECT_EQ(request.defaults, "original");
  EXPECT_EQ(to_json(request), kWholeRequest);
}

TEST(ApiJson, WhatIsAbsentOrNullStaysOpen) {
  const Request open = parse_request(R"({"prompt": ""})");
  EXPECT_EQ(open.prompts, std::vector<std::string>{""});
  EXPECT_EQ(
      to_json(open),
      R"({"prompts":[""],"seeds":[],"fixed_noise":false,"loras":[],"lora_folder":"","embeddings":[],"embedding_folder":"","init":"","mask":"","mask_invert":false,"extend":[],"controls":[],"guess_mode":false,"seamless":"","safety_checker":"","watermark":"","tiled_decode":false,"share":0,"share_of":1})");
  Json nulls = Json::parse(kWholeRequest);
  for (auto& item : nulls.items()) item.value() = nullptr;
  nulls["prompt"] = "";
  EXPECT_EQ(to_json(parse_request(nulls.dump())), to_json(open));
  EXPECT_EQ(parse_request("\xEF\xBB\xBF \t\r\n{\"prompts\": [\"a\"], \"prompt\": null}\n").prompts[0], "a");
}

TEST(ApiJson, ReadsOptions) {
  const EngineOptions engine = parse_engine_options(
      R"({"threads": 3, "pin_threads": true, "catch_truncated_files": true, "memory_budget": 9223372036854775807,
          "data_folder": "d", "hub_cache": "h"})");
  EXPECT_EQ(engine.threads, 3);
  EXPECT_TRUE(engine.pin_threads);
  EXPECT_TRUE(engine.catch_truncated_files);
  EXPECT_EQ(engine.memory_budget, 9223372036854775807);
  EXPECT_EQ(engine.data_folder, "d");
  EXPECT_EQ(engine.hub_cache, "h");
  const ModelOptions model = parse_model_options(
      R"({"path": "p", "name": "n", "variant": "fp16", "config": "c", "tokenizer": "t", "prediction": "v", "backend": "ref",
          "dtype": "q8_0", "precision": "bf16", "exact": true})");
  EXPECT_EQ(model.path, "p");
  EXPECT_EQ(model.name, "n");
  EXPECT_EQ(model.variant, "fp16");
  EXPECT_EQ(model.config, "c");
  EXPECT_EQ(model.tokenizer, "t");
  EXPECT_EQ(model.prediction, "v");
  EXPECT_EQ(model.backend, "ref");
  EXPECT_EQ(model.dtype, "q8_0");
  EXPECT_EQ(model.precision, "bf16");
  EXPECT_TRUE(model.exact);
  EXPECT_EQ(parse_engine_options("{}").threads, 0);
  EXPECT_EQ(refusal(parse_model_options, "{}"), "model options needs `path`");
  EXPECT_EQ(refusal(parse_engine_options, R"({"threads": 1025})"), "`threads` must be from 0 to 1024, not 1025");
  EXPECT_EQ(refusal(parse_engine_options, R"({"memory_budget": -1})"),
            "`memory_budget` must be from 0 to 9223372036854775807, not -1");
  EXPECT_EQ(refusal(parse_engine_options, R"({"memory_budget": 1e18})"),
            "`memory_budget` must be from 0 to 9223372036854775807, in digits alone above 2^53, not 1e+18");
  EXPECT_EQ(refusal(parse_model_options, R"({"path": "p", "precision": "half"})"),
            "`precision` must be \"full\", \"f16\", \"bf16\" or \"autocast\", not \"half\"");
}

TEST(ApiJson, UnknownFieldsAreNamedWithTheNearest) {
  EXPECT_EQ(refused(R"("step": 20)"), "`step` is no field of a request; did you mean `steps`?");
  EXPECT_EQ(refused(R"("negative-prompt": "x")"),
            "`negative-prompt` is no field of a request; did you mean `negative_prompt`?");
  EXPECT_EQ(refused(R"("loras": [{"file": "a"}, {"path": "b"}])"),
            "`loras[1].path` is no field of a LoRA; there are `file`, `weight`, `unet`, `text`");
  EXPECT_THAT(refused(R"("": 1)"), HasSubstr("`` is no field of a request; there are `prompt`, `prompts`, `negative"));
  EXPECT_THAT(refused("\"" + repeat("é", 1000) + "\": 1"), HasSubstr("`" + repeat("é", 20) + "…` is no field"));
  EXPECT_THAT(refused(R"("a\n\u001b[31m": 1)"), HasSubstr("`a [31m` is no field"));
}

TEST(ApiJson, APromptOrPromptsButNotBoth) {
  EXPECT_EQ(refusal("{}"), "a request needs `prompt` or `prompts`");
  EXPECT_EQ(refusal(R"({"prompt": null, "prompts": null})"), "a request needs `prompt` or `prompts`");
  EXPECT_EQ(refused(R"("prompts": ["b"])"), "`prompt` and `prompts` exclude one another");
  EXPECT_EQ(refusal(R"({"prompts": []})"), "`prompts` must not be an empty list");
  EXPECT_EQ(refusal(R"({"prompts": "a"})"), "`prompts` must be a list, not \"a\"");
  EXPECT_EQ(refusal(R"({"prompt": ["a"]})"), "`prompt` must be a string, not a list");
  EXPECT_EQ(refusal(R"({"prompts": ["a", null]})"), "`prompts[1]` must be a string, not null");
  EXPECT_EQ(refusal("{\"prompts\": [\"\"" + repeat(",\"\"", 65536) + "]}"),
            "`prompts` must be a list of at most 65536, not of 65537");
}

TEST(ApiJson, WrongTypesAreNamed) {
  EXPECT_EQ(refused(R"("steps": "20")"), "`steps` must be a whole number, not \"20\"");
  EXPECT_EQ(refused(R"("steps": true)"), "`steps` must be a whole number, not true");
  EXPECT_EQ(refused(R"("steps": 20.5)"), "`steps` must be a whole number, not 20.5");
  EXPECT_EQ(refused(R"("scale": "7.5")"), "`scale` must be a number, not \"7.5\"");
  EXPECT_EQ(refused(R"("fixed_noise": 1)"), "`fixed_noise` must be true or false, not 1");
  EXPECT_EQ(refused(R"("negative_prompt": {})"), "`negative_prompt` must be a string, not an object");
  EXPECT_EQ(refused(R"("seeding": 1)"), "`seeding` must be \"run\" or \"picture\", not 1");
  EXPECT_EQ(refused(R"("seeding": "Run")"), "`seeding` must be \"run\" or \"picture\", not \"Run\"");
  EXPECT_EQ(refused(R"("loras": ["a"])"), "`loras[0]` must be an object, not \"a\"");
  EXPECT_EQ(refused(R"("loras": [{"weight": 1}])"), "a LoRA needs `loras[0].file`");
  EXPECT_EQ(refused(R"("loras": [{"file": "a", "weight": "1"}])"), "`loras[0].weight` must be a number, not \"1\"");
  EXPECT_EQ(refused("\"sampler\": [\"" + repeat("x", 100) + "\"]"), "`sampler` must be a string, not a list");
  EXPECT_EQ(refused("\"steps\": \"" + repeat("ä", 100) + "\""),
            "`steps` must be a whole number, not \"" + repeat("ä", 20) + "…\"");
  EXPECT_EQ(refusal("[]"), "a request must be an object, not a list");
  EXPECT_EQ(refusal("null"), "a request must be an object, not null");
}

TEST(ApiJson, TextsHaveNoZero) {
  for (const char* text :
       {R"({"prompt": "a", "lora_folder": "b\u0000c"})", R"({"prompt": "a", "sampler": "ddim\u0000"})"}) {
    try {
      parse_request(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr("zero character"));
    }
  }
}

TEST(ApiJson, FieldsOfInnerStructsAreNamed) {
  EXPECT_EQ(refused(R"("hires": 2)"), "`hires` must be an object, not 2");
  EXPECT_EQ(refused(R"("hires": {"steps": 0})"), "`hires.steps` must be from 1 to 10000, not 0");
  EXPECT_EQ(refused(R"("hires": {"step": 1})"), "`hires.step` is no field of a second pass; did you mean `steps`?");
  EXPECT_EQ(refused(R"("controls": [{"model": "a"}])"), "a ControlNet needs `controls[0].image`");
  EXPECT_EQ(refused(R"("controls": [{"model": "a", "image": "b", "preprocess": "depth"}])"),
            "`controls[0].preprocess` must be \"none\" or \"canny\", not \"depth\"");
  EXPECT_EQ(refused(R"("extend": [1, 2, 3, 4, 5])"), "`extend` must be a list of at most 4, not of 5");
  EXPECT_EQ(refused(R"("extend": [0, -1])"), "`extend[1]` must be from 0 to 16384, not -1");
  EXPECT_EQ(with(R"("hires": {})").hires->scale, 2.0);
  EXPECT_EQ(with(R"("hires": null)").hires.has_value(), false);
}

TEST(ApiJson, NumbersOutOfRangeAreNamed) {
  EXPECT_EQ(refused(R"("steps": 0)"), "`steps` must be from 1 to 10000, not 0");
  EXPECT_EQ(refused(R"("steps": -1)"), "`steps` must be from 1 to 10000, not -1");
  EXPECT_EQ(refused(R"("steps": 1e300)"), "`steps` must be from 1 to 10000, not 1e+300");
  EXPECT_EQ(refused(R"("steps": 18446744073709551615)"), "`steps` must be from 1 to 10000, not 18446744073709551615");
  EXPECT_EQ(refused(R"("width": 513)"), "`width` must be a multiple of 8 from 8 to 16384, not 513");
  EXPECT_EQ(refused(R"("width": -8)"), "`width` must be a multiple of 8 from 8 to 16384, not -8");
  EXPECT_EQ(refused(R"("height": 16392)"), "`height` must be a multiple of 8 from 8 to 16384, not 16392");
  EXPECT_EQ(refused(R"("scale": -0.5)"), "`scale` must be from 0 to 1000, not -0.5");
  EXPECT_EQ(refused(R"("eta": 1.5)"), "`eta` must be from 0 to 1, not 1.5");
  EXPECT_EQ(refused(R"("loras": [{"file": "a", "weight": 1001}])"),
            "`loras[0].weight` must be from -1000 to 1000, not 1001");
  EXPECT_EQ(refused(R"("scale": 1e999)"), "a request: holds a number that is out of range, after the key \"scale\"");
  EXPECT_THAT(refused(R"("scale": NaN)"), HasSubstr("not valid JSON at byte"));
  EXPECT_THAT(refused(R"("scale": Infinity)"), HasSubstr("not valid JSON at byte"));
}

TEST(ApiJson, WholeNumbersMayBeWrittenAsDoubles) {
  EXPECT_EQ(with(R"("steps": 20.0)").steps, 20);
  EXPECT_EQ(with(R"("steps": 2e1)").steps, 20);
  EXPECT_EQ(with(R"("scale": 7)").scale, 7.0);
  EXPECT_EQ(with(R"("seed": -0.0)").seed, 0u);
  EXPECT_EQ(with(R"("seed": 9007199254740992.0)").seed, 9007199254740992u);
}

TEST(ApiJson, SeedsHave64Bits) {
  EXPECT_EQ(with(R"("seed": 0)").seed, 0u);
  EXPECT_EQ(with(R"("seed": 9223372036854775808)").seed, 9223372036854775808u);
  EXPECT_EQ(with(R"("seed": "18446744073709551615")").seed, 18446744073709551615u);
  EXPECT_EQ(with(R"("seed": "007")").seed, 7u);
  EXPECT_EQ(with(R"("seed": null)").seed, std::nullopt);
  EXPECT_EQ(with(R"("seeds": [5, "18446744073709551615", 0])").seeds,
            (std::vector<uint64_t>{5, 18446744073709551615u, 0}));
  EXPECT_THAT(with(R"("seeds": null)").seeds, testing::IsEmpty());
  EXPECT_EQ(refused(R"("seeds": 7)"), "`seeds` must be a list, not 7");
  EXPECT_EQ(refused(R"("seeds": [1, -1])"), "`seeds[1]` must be from 0 to 18446744073709551615, not -1");
  EXPECT_EQ(refused(R"("seeds": ["x"])"), "`seeds[0]` must be a whole number, not \"x\"");
  const std::string range = "`seed` must be from 0 to 18446744073709551615";
  EXPECT_EQ(refused(R"("seed": -1)"), range + ", not -1");
  EXPECT_EQ(refused(R"("seed": 18446744073709551616)"),
            range + ", in digits alone above 2^53, not 1.8446744073709552e+19");
  EXPECT_EQ(refused(R"("seed": 9007199254740994.0)"),
            range + ", in digits alone above 2^53, not 9.007199254740994e+15");
  EXPECT_EQ(refused(R"("seed": "18446744073709551616")"), range + ", not \"18446744073709551616\"");
  for (const char* bad : {"\"\"", "\"-1\"", "\"+1\"", "\" 1\"", "\"1 \"", "\"0x1\"", "\"1e3\"", "1.5", "{}", "[]"})
    EXPECT_THAT(refused(std::string("\"seed\": ") + bad), HasSubstr("`seed` must be a whole number, not ")) << bad;
}

TEST(ApiJson, TextsThatAreNotJson) {
  EXPECT_EQ(refusal(""), "a request: not valid JSON at byte 1, where it ends too early");
  EXPECT_EQ(refusal(R"({"prompt": "a")"), "a request: not valid JSON at byte 15, where it ends too early");
  EXPECT_EQ(refusal(R"({"prompt": "a"} {})"), "a request: not valid JSON at byte 17");
  EXPECT_EQ(refusal(R"({"prompt": "a",})"), "a request: not valid JSON at byte 16");
  EXPECT_EQ(refusal("{'prompt': 'a'}"), "a request: not valid JSON at byte 2");
  EXPECT_EQ(refusal(std::string("{\"prompt\": \"a\"}\0x", 17)), "a request: not valid JSON at byte 15: it is zero");
  EXPECT_EQ(refusal("{\"prompt\": \"\xFF\"}"), "a request: not UTF-8 at byte 12");
  EXPECT_EQ(refusal("{\"prompt\": \"\xED\xA0\x80\"}"), "a request: not UTF-8 at byte 12");
  EXPECT_THAT(refusal(R"({"prompt": "\ud800"})"), HasSubstr("not valid JSON at byte"));
  EXPECT_EQ(refusal(R"({"prompt": "a", "prompt": "b"})"), "a request: the key \"prompt\" appears twice");
  EXPECT_EQ(refused(R"("loras": [{"file": "a", "file": "a"}])"), "a request: the key \"file\" appears twice");
}

TEST(ApiJson, TextsThatWouldTakeTimeOrMemory) {
  const size_t full = kMaxJsonBytes - 100;
  EXPECT_EQ(refusal(repeat("[", 100'000)), "a request: nested more than 16 deep");
  EXPECT_EQ(refusal(repeat("{\"a\":", 100'000)), "a request: nested more than 16 deep");
  EXPECT_EQ(refusal(repeat(" ", 100 << 20)), "a request: 104857600 bytes; at most 67108864 are read");
  EXPECT_EQ(refused("\"x\": [0" + repeat(",0", full / 2) + "]"), "a request: more than 100000 values");
  EXPECT_EQ(refused("\"x\": [[]" + repeat(",[]", full / 3) + "]"), "a request: more than 100000 values");
  EXPECT_EQ(refusal("{\"prompts\": [\"\"" + repeat(",\"\"", full / 3) + "]}"), "a request: more than 100000 values");
  const std::string long_string = "a request: a string of more than 1048576 bytes";
  EXPECT_EQ(refused("\"" + repeat("k", full) + "\": 1"), long_string);
  EXPECT_THAT(refused("\"" + repeat("k", 1 << 20) + "\": 1"), HasSubstr("a request: a key of 1048576 bytes"));
  const std::string picture = "data:image/png;base64," + repeat("A", 2 << 20);
  EXPECT_EQ(with("\"init\": \"" + picture + "\"").init, picture);
  EXPECT_EQ(refused("\"init\": \" " + picture + "\""), long_string);
  EXPECT_EQ(refused("\"steps\": " + repeat("1", full)), "a request: a number of more than 1000 digits");
  EXPECT_THAT(refused("\"steps\": " + repeat("1", 1000)), HasSubstr("out of range, after the key \"steps\""));
  EXPECT_EQ(refused("\"steps\": \"" + repeat("x", full) + "\""), long_string);
  EXPECT_EQ(refusal("{\"prompt\": \"" + repeat("\\\"", full / 2)), long_string);
  EXPECT_THAT(refusal("{\"prompt\": \"" + repeat("x", 1 << 20)), HasSubstr("where it ends too early"));
  const std::string prompt = repeat("\\u00e9", 65536 / 2);
  EXPECT_EQ(parse_request("{\"prompts\": [\"" + prompt + "\"" + repeat(",\"" + prompt + "\"", 80) + "]}").prompts[80],
            repeat("é", 65536 / 2));
}

TEST(ApiJson, WritesReplies) {
  Settings settings;
  settings.model = "a\xFF.ckpt";
  settings.seed = 18446744073709551615ull;
  settings.seeds = {18446744073709551615ull, 3};
  settings.scale = 7.5;
  settings.loras = {{"l", 0.5}};
  settings.timesteps = {999, 0.5};
  const Json json = Json::parse(to_json(settings));
  EXPECT_EQ(json["model"], "a\xEF\xBF\xBD.ckpt");
  EXPECT_EQ(json["seed"].get<uint64_t>(), 18446744073709551615ull);
  EXPECT_EQ(json["seeds"], Json::parse("[18446744073709551615, 3]"));
  EXPECT_EQ(json["scale"], 7.5);
  EXPECT_EQ(json["timesteps"], Json::parse("[999.0, 0.5]"));
  EXPECT_EQ(json["loras"], Json::parse(R"([{"file": "l", "weight": 0.5}])"));
  EXPECT_FALSE(json.contains("init"));
  EXPECT_FALSE(json.contains("hires"));
  settings.init = Source{"a.png", "0123456789abcdef"};
  settings.hires = HiresSettings{.width = 16};
  const Json with_pictures = Json::parse(to_json(settings));
  EXPECT_EQ(with_pictures["init"], Json::parse(R"({"name": "a.png", "hash": "0123456789abcdef"})"));
  EXPECT_EQ(with_pictures["hires"]["width"], 16);
  EXPECT_EQ(to_json(std::vector<NamedHelp>{{"ddim", "the first", {"DDIM"}}}),
            R"([{"name":"ddim","help":"the first","aliases":["DDIM"]}])");
  EXPECT_EQ(to_json(std::vector<NamedHelp>{}), "[]");
  EXPECT_EQ(to_json(Step{.batch = 1, .batches = 2, .done = 3, .steps = 4}),
            R"({"batch":1,"batches":2,"done":3,"steps":4})");
  const Picture picture{.image = Image(8, 16), .prompt = "a", .number = 2, .seed = 3, .parameters = "a\nSteps: 4"};
  EXPECT_EQ(to_json(info_of(picture)),
            R"({"prompt":"a","number":2,"seed":3,"width":8,"height":16,"parameters":"a\nSteps: 4","flagged":false})");
  EXPECT_EQ(Json::parse(to_json(ModelInfo{.name = "n"}))["multiple"], 8);
}

}  // namespace
}  // namespace sumi::api
