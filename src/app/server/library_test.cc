#include "app/server/library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "tests/support/temp_folder.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class LibraryTest : public testing::Test {
 protected:
  void put(const std::string& file, std::string_view content = "x") const { test::write_file(folder_ / file, content); }
  std::vector<std::string> names(FileKind kind) const {
    std::vector<std::string> names;
    for (const LibraryEntry& entry : library().list(kind)) names.push_back(entry.name);
    return names;
  }
  Library library() const { return Library({folder_ / "models", folder_ / "data", folder_ / "not there"}); }
  // The sentence of Error(kUsage); "taken" where there is none.
  template <class Call> static std::string refusal_of(const Call& call) {
    try {
      call();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage) << error.what();
      return error.what();
    }
    return "taken";
  }
  std::string asked(const std::string& name, FileKind kind = FileKind::kLora) const {
    return refusal_of([&] { (void)library().file_of(kind, name); });
  }

  const test::TempFolder folder_;
};

TEST_F(LibraryTest, ListsEachKindFromItsFolders) {
  put("models/model.safetensors");
  put("models/loras/paint.safetensors", "12345");
  put("models/LORA/ink.pt");
  put("data/Lora/styles/oil.v2.ckpt");
  put("data/loras/one/two/too deep.safetensors");
  put("data/loras/readme.txt");
  put("data/loras/.hidden.safetensors");
  put("data/loras/.trash/old.safetensors");
  put("data/Embeddings/sketch.BIN");
  put("models/VAE/soft.pt");
  put("data/vae/folder/config.json", "{}");
  put("data/vae/folder/weights.safetensors", "1234567");
  put("data/esrgan/4x.pth");
  put("data/RealESRGAN/2x.safetensors");
  put("models/ControlNet/edges.safetensors");
  put("data/controlnets/depth.pth");
  EXPECT_THAT(names(FileKind::kLora), ElementsAre("ink", "oil.v2", "paint"));
  EXPECT_THAT(names(FileKind::kEmbedding), ElementsAre("sketch"));
  EXPECT_THAT(names(FileKind::kVae), ElementsAre("folder", "soft"));
  EXPECT_THAT(names(FileKind::kUpscaler), ElementsAre("2x", "4x"));
  EXPECT_THAT(names(FileKind::kControl), ElementsAre("depth", "edges"));
  EXPECT_EQ(library().list(FileKind::kLora)[2].bytes, 5);
  EXPECT_EQ(library().list(FileKind::kVae)[0].bytes, 2 + 7);  // both files
  EXPECT_TRUE(Library().list(FileKind::kLora).empty());
}

TEST_F(LibraryTest, OfTwoWithOneNameTheFirstIsMeant) {
  put("data/loras/paint.safetensors");
  put("models/loras/paint.safetensors");
  EXPECT_THAT(names(FileKind::kLora), ElementsAre("paint"));
  EXPECT_EQ(library().file_of(FileKind::kLora, "paint"), folder_ / "models/loras/paint.safetensors");
}

TEST_F(LibraryTest, FindsWhatComesLaterByBothNames) {
  const Library library = this->library();
  EXPECT_FALSE(library.find(FileKind::kLora, "paint"));
  put("data/loras/paint.safetensors");
  EXPECT_EQ(library.find(FileKind::kLora, "paint").value().path, folder_ / "data/loras/paint.safetensors");
  EXPECT_EQ(library.find(FileKind::kLora, "paint.safetensors").value().name, "paint");
  EXPECT_FALSE(library.find(FileKind::kEmbedding, "paint"));
}

// People link models that lie elsewhere.
TEST_F(LibraryTest, FollowsLinks) {
  put("elsewhere/paint.safetensors", "123");
  put("far/oil.safetensors");
  fs::create_directories(folder_ / "data/loras");
  fs::create_symlink(folder_ / "elsewhere/paint.safetensors", folder_ / "data/loras/linked.safetensors");
  fs::create_directory_symlink(folder_ / "far", folder_ / "data/loras/far");
  fs::create_symlink(folder_ / "nowhere", folder_ / "data/loras/broken.safetensors");
  fs::create_directory_symlink(folder_ / "data/loras", folder_ / "data/loras/round");
  EXPECT_THAT(names(FileKind::kLora), testing::IsSupersetOf({"linked", "oil"}));
  EXPECT_THAT(names(FileKind::kLora), Not(testing::Contains("broken")));
}

TEST_F(LibraryTest, NamesAreNoPaths) {
  put("data/loras/paint.safetensors");
  put("data/loras/.hidden.safetensors");
  put("data/loras/sub/oil.safetensors");
  put("data/secret.safetensors");
  const std::string whole = (folder_ / "data/loras/paint.safetensors").string();
  using namespace std::string_literals;
  for (const std::string& name :
       {"../secret"s, "../secret.safetensors"s, "sub/oil"s, "sub\\oil"s, ".hidden"s, ".hidden.safetensors"s, "./paint"s,
        whole, "paint\0"s, "paint.safetensors\0.txt"s, ""s, "."s, ".."s, "loras/.."s}) {
    EXPECT_THAT(asked(name), HasSubstr("is not a name")) << name;
    EXPECT_FALSE(library().find(FileKind::kLora, name)) << name;
  }
  EXPECT_EQ(asked("paint"), "taken");
}

TEST_F(LibraryTest, TellsWhatThereIs) {
  EXPECT_THAT(asked("paint"), HasSubstr("nor any other"));
  put("data/loras/paint.safetensors");
  put("data/loras/charcoal.safetensors");
  EXPECT_THAT(asked("oil"), HasSubstr("there is no LoRA \"oil\" here; choose one of charcoal, paint"));
  EXPECT_THAT(asked("charcaol"), HasSubstr("did you mean \"charcoal\"?"));
  for (int i = 10; i < 40; ++i) put("data/loras/a" + std::to_string(i) + ".pt");
  EXPECT_THAT(asked("something"), HasSubstr("and 12 others"));
  EXPECT_THAT(asked(std::string(100'000, 'x')), testing::SizeIs(testing::Lt(2000u)));
  EXPECT_THAT(asked("oil"), Not(HasSubstr(folder_.path().string())));
}

TEST_F(LibraryTest, PutsFilesIntoRequests) {
  put("data/loras/paint.safetensors");
  put("data/embeddings/sketch.pt");
  put("data/controlnet/edges.safetensors");
  put("data/upscalers/4x.pth");
  const Request request = library().with_files({.prompts = {"a"},
                                                .loras = {{.file = "paint", .weight = 0.5}},
                                                .embeddings = {"sketch"},
                                                .init = "data:image/png;base64,AA==",
                                                .hires = Hires{.upscaler = "4x"},
                                                .controls = {{.model = "edges", .image = "data:,"}}});
  EXPECT_EQ(request.loras.at(0).file, folder_ / "data/loras/paint.safetensors");
  EXPECT_EQ(request.loras.at(0).weight, 0.5);
  EXPECT_EQ(request.embeddings.at(0), folder_ / "data/embeddings/sketch.pt");
  EXPECT_EQ(request.controls.at(0).model, folder_ / "data/controlnet/edges.safetensors");
  EXPECT_EQ(request.hires->upscaler, folder_ / "data/upscalers/4x.pth");
  EXPECT_EQ(request.init, "data:image/png;base64,AA==");
}

TEST_F(LibraryTest, RequestsOpenNothingElse) {
  put("data/loras/paint.safetensors");
  put("data/controlnet/edges.safetensors");
  const auto refused = [&](auto change) {
    Request request{.prompts = {"a"}};
    change(request);
    return refusal_of([&] { (void)library().with_files(request); });
  };
  EXPECT_EQ(refused([](Request&) {}), "taken");
  EXPECT_EQ(refused([](Request& r) { r.init = "data:image/png;base64,AA=="; }), "taken");
  EXPECT_EQ(refused([](Request& r) { r.hires = Hires{.upscaler = "lanczos"}; }), "taken");
  EXPECT_EQ(refused([](Request& r) { r.hires = Hires{.upscaler = "latent-nearest"}; }), "taken");
  EXPECT_EQ(refused([](Request& r) { r.hires = Hires{}; }), "taken");
  const auto whole = HasSubstr("must be given whole");
  EXPECT_THAT(refused([](Request& r) { r.init = "/etc/passwd"; }), whole);
  EXPECT_THAT(refused([](Request& r) { r.init = "http://127.0.0.1/x.png"; }), whole);
  EXPECT_THAT(refused([](Request& r) { r.mask = "mask.png"; }), whole);
  EXPECT_THAT(refused([](Request& r) { r.controls = {{.model = "edges", .image = "edges.png"}}; }), whole);
  EXPECT_THAT(refused([](Request& r) { r.lora_folder = "/"; }), HasSubstr("`lora_folder`"));
  EXPECT_THAT(refused([](Request& r) { r.embedding_folder = "/"; }), HasSubstr("`embedding_folder`"));
  EXPECT_THAT(refused([](Request& r) { r.safety_checker = "x"; }), HasSubstr("`safety_checker`"));
  EXPECT_THAT(refused([](Request& r) { r.controls = {{.model = "m", .image = "data:,"}}; }), HasSubstr("ControlNet"));
  EXPECT_THAT(refused([](Request& r) { r.loras = {{.file = "x"}}; }), HasSubstr("LoRA \"x\""));
  EXPECT_THAT(refused([&](Request& r) { r.loras = {{.file = (folder_ / "data/loras/paint.safetensors").string()}}; }),
              HasSubstr("is not a name"));
  EXPECT_THAT(refused([](Request& r) { r.embeddings = {"x"}; }), HasSubstr("embedding \"x\""));
  EXPECT_THAT(refused([](Request& r) { r.hires = Hires{.upscaler = "/x.pth"}; }), HasSubstr("is not a name"));
}

}  // namespace
}  // namespace sumi::app
