#include "app/pull.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "tests/support/local_server.h"
#include "tests/support/made_up_tokenizer.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;
using test::LocalServer;
using test::reply;
using test::reply_with_range;
using test::ServerReply;
using test::ServerRequest;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

std::string read_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// printf 'the weights' | sha256sum; git hash-object of the other.
constexpr const char* kWeights = "the weights";
constexpr const char* kWeightsSha256 = "f38329d231164082b94f28edf29bff349b44403e09fc4057d65b31051f4ae6b5";
constexpr const char* kConfig = "{\"a\": 1}\n";
constexpr const char* kConfigBlob = "cb5b2f69babc53f9145b45ad20b9a075d48717ef";

nlohmann::json small_file(const std::string& name) {
  return {{"rfilename", name}, {"size", std::string(kConfig).size()}, {"blobId", kConfigBlob}};
}

nlohmann::json large_file(const std::string& name, const std::string& sha256 = kWeightsSha256) {
  return {
      {"rfilename", name}, {"size", 11}, {"blobId", std::string(40, '0')}, {"lfs", {{"sha256", sha256}, {"size", 11}}}};
}

std::string listing(const std::vector<nlohmann::json>& files) {
  return nlohmann::json{{"id", "o/m"}, {"siblings", files}}.dump();
}

class PullTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"HF_TOKEN", "HF_ENDPOINT", "http_proxy", "all_proxy", "ALL_PROXY"}) unsetenv(name);
  }

  // A hub of the listing of o/m and the file contents by name.
  LocalServer::Handler hub(const std::string& list, const std::map<std::string, std::string>& files) {
    return [list, files](const ServerRequest& request) -> ServerReply {
      if (request.target == "/api/models/o/m/revision/main?blobs=true") return reply(200, list);
      const std::string prefix = "/o/m/resolve/main/";
      if (!request.target.starts_with(prefix)) return reply(404, "");
      const auto found = files.find(request.target.substr(prefix.size()));
      return found == files.end() ? reply(404, "") : reply_with_range(request, found->second);
    };
  }

  PullOptions options(const LocalServer& server, const std::string& what = "o/m") const {
    return {.what = what,
            .out = folder_ / "out",
            .endpoint = server.url() + "/",
            .quiet = true,
            .backoff = std::chrono::milliseconds(1)};
  }

  // The message of the Error that pull throws, which must be of `kind`.
  std::string refusal(const PullOptions& with, ErrorKind kind) const {
    try {
      pull(with);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      return error.what();
    }
    return "no error";
  }

  // Everything below the output folder.
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    if (!fs::exists(folder_ / "out")) return names;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "out")) {
      if (entry.is_regular_file()) names.push_back(fs::relative(entry.path(), folder_ / "out").string());
    }
    return names;
  }

  test::TempFolder folder_;
};

TEST_F(PullTest, AModelFolderComesWholeAndOnlyOnce) {
  std::vector<nlohmann::json> list{small_file("model_index.json"),
                                   small_file("README.md"),
                                   small_file("scheduler/scheduler_config.json"),
                                   small_file("tokenizer/merges.txt"),
                                   small_file("safety_checker/config.json"),
                                   large_file("sd.ckpt")};
  std::map<std::string, std::string> contents;
  for (const char* component : {"unet", "vae", "text_encoder"}) {
    const std::string folder = component;
    list.push_back(small_file(folder + "/config.json"));
    for (const char* name :
         {"/model.safetensors", "/model.fp16.safetensors", "/model.non_ema.safetensors", "/model.bin"}) {
      list.push_back(large_file(folder + name));
    }
  }
  for (const auto& file : list) contents[file["rfilename"]] = file.contains("lfs") ? kWeights : kConfig;
  const LocalServer server(hub(listing(list), contents));
  EXPECT_EQ(pull(options(server)), folder_ / "out");
  EXPECT_THAT(files(), UnorderedElementsAre("model_index.json", "scheduler/scheduler_config.json",
                                            "tokenizer/merges.txt", "unet/config.json", "unet/model.safetensors",
                                            "vae/config.json", "vae/model.safetensors", "text_encoder/config.json",
                                            "text_encoder/model.safetensors"));
  EXPECT_EQ(read_file(folder_ / "out/unet/model.safetensors"), kWeights);

  const size_t before = server.requests().size();
  pull(options(server));
  EXPECT_EQ(server.requests().size(), before + 1);  // only the list

  PullOptions half = options(server);
  half.fp16 = true;
  pull(half);
  EXPECT_TRUE(fs::exists(folder_ / "out/vae/model.fp16.safetensors"));
  EXPECT_EQ(server.requests().size(), before + 2 + 3);

  // A file that was damaged is fetched again.
  test::write_file(folder_ / "out/vae/model.safetensors", "the w3ights");
  pull(options(server));
  EXPECT_EQ(read_file(folder_ / "out/vae/model.safetensors"), kWeights);
}

TEST_F(PullTest, ATokenizerIsFetchedAndRead) {
  test::TempFolder source;
  test::write_made_up_tokenizer(source.path());
  for (const bool lists : {true, false}) {
    const LocalServer server([&](const ServerRequest& request) {
      const std::string repository = "openai/clip-vit-large-patch14";
      if (lists && request.target == "/api/models/" + repository + "/revision/main?blobs=true") {
        return reply(200,
                     R"({"siblings": [{"rfilename": "vocab.json"}, {"rfilename": "merges.txt"}, {"rfilename": "x"}]})");
      }
      for (const std::string name : {"vocab.json", "merges.txt"}) {
        if (request.target == "/" + repository + "/resolve/main/" + name) return reply(200, read_file(source / name));
      }
      return reply(404, "");
    });
    setenv("SUMI_HOME", folder_.path().c_str(), 1);
    PullOptions with = options(server, "tokenizer");
    with.out.clear();
    EXPECT_EQ(pull(with), folder_ / "tokenizer");
    EXPECT_EQ(read_file(folder_ / "tokenizer/merges.txt"), test::made_up_merges());
    EXPECT_FALSE(fs::exists(folder_ / "tokenizer/vocab.json.part"));
    fs::remove_all(folder_ / "tokenizer");
  }
  unsetenv("SUMI_HOME");
}

TEST_F(PullTest, ABrokenLineIsTakenUpWhereItBroke) {
  std::atomic<int> answers = 0;
  const LocalServer server([&](const ServerRequest& request) -> ServerReply {
    if (request.target.starts_with("/api/")) return reply(200, listing({large_file("sd.safetensors")}));
    if (answers++ == 0) return {"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nthe w"};
    if (answers == 2) return reply(503, "busy");
    return reply_with_range(request, kWeights);
  });
  pull(options(server));
  EXPECT_EQ(read_file(folder_ / "out/sd.safetensors"), kWeights);
  std::vector<std::string> ranges;
  for (const ServerRequest& request : server.requests()) ranges.push_back(request.header("Range"));
  EXPECT_THAT(ranges, ElementsAre("", "", "bytes=5-", "bytes=5-"));
  EXPECT_THAT(files(), ElementsAre("sd.safetensors"));
}

TEST_F(PullTest, AnOldPieceIsGoneOnFrom) {
  const LocalServer server(hub(listing({large_file("sd.safetensors")}), {{"sd.safetensors", kWeights}}));
  const auto pull_over = [&](const std::string& piece) {
    fs::remove(folder_ / "out/sd.safetensors");
    test::write_file(folder_ / "out/sd.safetensors.part", piece);
    const size_t before = server.requests().size();
    pull(options(server));
    EXPECT_EQ(read_file(folder_ / "out/sd.safetensors"), kWeights) << piece;
    EXPECT_THAT(files(), ElementsAre("sd.safetensors"));
    std::vector<std::string> ranges;
    for (size_t i = before + 1; i < server.requests().size(); ++i)
      ranges.push_back(server.requests()[i].header("Range"));
    return ranges;
  };
  EXPECT_THAT(pull_over("the wei"), ElementsAre("bytes=7-"));
  EXPECT_THAT(pull_over(kWeights), ElementsAre());                     // complete, but not renamed
  EXPECT_THAT(pull_over("of another"), ElementsAre("bytes=10-", ""));  // a wrong checksum: once more from the start
  EXPECT_THAT(pull_over("far too many bytes"), ElementsAre(""));
}

TEST_F(PullTest, AServerWithoutRangesStartsAnew) {
  const LocalServer server([&](const ServerRequest& request) {
    return request.target.starts_with("/api/") ? reply(200, listing({large_file("sd.safetensors")}))
                                               : reply(200, kWeights);
  });
  test::write_file(folder_ / "out/sd.safetensors.part", "the wei");
  pull(options(server));
  EXPECT_EQ(read_file(folder_ / "out/sd.safetensors"), kWeights);
}

TEST_F(PullTest, WrongBytesAreRefused) {
  const auto pull_of = [&](const nlohmann::json& file, const std::string& content) {
    const LocalServer server(hub(listing({file}), {{"sd.safetensors", content}}));
    std::string message = refusal(options(server), ErrorKind::kData);
    EXPECT_THAT(files(), testing::Not(testing::Contains("sd.safetensors")));
    return message;
  };
  EXPECT_THAT(pull_of(large_file("sd.safetensors"), "the w3ights"), HasSubstr("the hub's checksum"));
  EXPECT_THAT(files(), ElementsAre());
  nlohmann::json blob = small_file("sd.safetensors");
  EXPECT_THAT(pull_of(blob, "{\"a\": 2}\n"), HasSubstr("the hub's checksum"));
  EXPECT_THAT(pull_of(large_file("sd.safetensors"), "the weights and more"), HasSubstr("more than the 11 bytes"));
  EXPECT_THAT(files(), ElementsAre());
  EXPECT_THAT(pull_of(large_file("sd.safetensors"), "short"), HasSubstr("received 5 bytes"));
}

TEST_F(PullTest, TheHubsHeadersStandInForAListWithoutSums) {
  std::string sum = kWeightsSha256;
  const LocalServer server([&](const ServerRequest& request) -> ServerReply {
    if (request.target.starts_with("/api/")) return reply(200, R"({"siblings": [{"rfilename": "sd.safetensors"}]})");
    if (request.target == "/cdn") return reply(200, kWeights);
    return reply(302, "", "X-Linked-Size: 11\r\nX-Linked-Etag: \"" + sum + "\"\r\nLocation: /cdn\r\n");
  });
  pull(options(server));
  EXPECT_EQ(read_file(folder_ / "out/sd.safetensors"), kWeights);
  sum[0] = sum[0] == '0' ? '1' : '0';
  fs::remove(folder_ / "out/sd.safetensors");
  EXPECT_THAT(refusal(options(server), ErrorKind::kData), HasSubstr("the hub's checksum"));
}

TEST_F(PullTest, NamesThatLeadOutAreRefused) {
  for (const char* name : {"../x.safetensors", "/etc/x.safetensors", "unet/../../x.json", "a\\b.safetensors",
                           "a/./b.json", "a//b.json", "x\n.safetensors", "x\x7F.json", "", "..", "a/"}) {
    const LocalServer server(
        hub(listing({large_file("sd.safetensors"), small_file(name)}), {{"sd.safetensors", kWeights}}));
    EXPECT_THAT(refusal(options(server), ErrorKind::kData), HasSubstr("not a safe name")) << name;
    EXPECT_FALSE(fs::exists(folder_ / "out"));
    EXPECT_EQ(server.requests().size(), 1u);
  }
  const LocalServer server(hub(listing({large_file("sd.safetensors")}), {}));
  for (const char* what : {"", "o", "o/", "/m", "o/m/x", "../m", "o/..", "o/m?x", "o m/x", ".o/m"}) {
    EXPECT_THAT(refusal(options(server, what), ErrorKind::kUsage), HasSubstr("not a repository's name")) << what;
  }
  PullOptions with = options(server);
  with.revision = "../x";
  refusal(with, ErrorKind::kUsage);
  for (const char* endpoint : {"file:///etc", "ftp://127.0.0.1", "127.0.0.1", "http://a b"}) {
    with = options(server);
    with.endpoint = endpoint;
    refusal(with, ErrorKind::kUsage);
  }
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(PullTest, ListsThatAreNoListsAreRefused) {
  for (const std::string& body :
       {std::string("<html>"), std::string("[]"), std::string("{}"), std::string(R"({"siblings": 3})"),
        std::string(R"({"siblings": [3]})"), std::string(1 << 20, '['), std::string(5 << 20, ' '), listing({}),
        listing({small_file("README.md")}), listing({small_file("model_index.json")}),
        std::string(R"({"siblings": [{"rfilename": "sd.safetensors", "size": -5}]})")}) {
    const LocalServer server(hub(body, {}));
    refusal(options(server), ErrorKind::kData);
    EXPECT_THAT(files(), ElementsAre());
  }
}

TEST_F(PullTest, FailuresSayWhatToDo) {
  const auto answer = [&](int status) {
    return [status](const ServerRequest&) { return reply(status, "<h1>no</h1>"); };
  };
  {
    const LocalServer server(answer(404));
    EXPECT_THAT(refusal(options(server), ErrorKind::kNoInput), HasSubstr("no such repository"));
    EXPECT_EQ(server.requests().size(), 1u);
  }
  {
    const LocalServer server(answer(401));
    EXPECT_THAT(refusal(options(server), ErrorKind::kNoInput), HasSubstr("HF_TOKEN"));
  }
  std::string gone;
  {
    const LocalServer server(answer(500));
    gone = server.url();
    EXPECT_THAT(refusal(options(server), ErrorKind::kUnavailable), HasSubstr("HTTP 500"));
    EXPECT_EQ(server.requests().size(), 4u);  // three retries
  }
  PullOptions offline{.what = "tokenizer",
                      .out = folder_ / "out",
                      .endpoint = gone,
                      .quiet = true,
                      .backoff = std::chrono::milliseconds(1)};
  EXPECT_THAT(refusal(offline, ErrorKind::kUnavailable),
              AllOf(HasSubstr("Check the connection"), HasSubstr("HF_ENDPOINT")));
  const LocalServer server([](const ServerRequest&) { return reply(302, "", "Location: file:///etc/passwd\r\n"); });
  refusal(options(server), ErrorKind::kUnavailable);
  EXPECT_EQ(server.requests().size(), 1u);  // a permanent error: no retry
}

TEST_F(PullTest, TheTokenGoesToItsOwnHostAlone) {
  std::string elsewhere;
  const LocalServer server([&](const ServerRequest& request) -> ServerReply {
    if (request.target.starts_with("/api/")) return reply(200, listing({large_file("sd.safetensors")}));
    if (request.target == "/cdn") return reply(200, kWeights);
    return reply(302, "", "Location: " + elsewhere + "/cdn\r\n");
  });
  elsewhere = server.url("localhost");
  PullOptions with = options(server);
  with.token = "hf_secret";
  pull(with);
  std::vector<std::string> tokens;
  for (const ServerRequest& request : server.requests()) tokens.push_back(request.header("Authorization"));
  EXPECT_THAT(tokens, ElementsAre("Bearer hf_secret", "Bearer hf_secret", ""));
  with.token = "two\nlines";
  refusal(with, ErrorKind::kUsage);
}

TEST_F(PullTest, CancellingLeavesThePieceForTheNextTime) {
  std::atomic<bool> held = false;
  const LocalServer server([&](const ServerRequest& request) -> ServerReply {
    if (request.target.starts_with("/api/")) return reply(200, listing({large_file("sd.safetensors")}));
    if (held.exchange(true)) return reply_with_range(request, kWeights);
    return {"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nthe w", true};
  });
  PullOptions with = options(server);
  with.cancelled = [&] {
    return fs::exists(folder_ / "out/sd.safetensors.part") && fs::file_size(folder_ / "out/sd.safetensors.part") == 5;
  };
  EXPECT_THAT(refusal(with, ErrorKind::kCancelled), HasSubstr("again to resume"));
  EXPECT_THAT(files(), ElementsAre("sd.safetensors.part"));
  pull(options(server));
  EXPECT_EQ(server.requests().back().header("Range"), "bytes=5-");
  EXPECT_EQ(read_file(folder_ / "out/sd.safetensors"), kWeights);
}

TEST_F(PullTest, WhatCannotFitIsRefusedBeforeTheFirstByte) {
  nlohmann::json file = large_file("sd.safetensors");
  file["lfs"]["size"] = int64_t{1} << 60;
  const LocalServer server(hub(listing({file}), {}));
  EXPECT_THAT(refusal(options(server), ErrorKind::kCannotCreate), HasSubstr("GB are needed"));
  EXPECT_EQ(server.requests().size(), 1u);
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

TEST_F(PullTest, SizesThatCannotBeAreRefused) {
  nlohmann::json huge = large_file("a.safetensors"), other = large_file("b.safetensors");
  huge["lfs"]["size"] = std::numeric_limits<int64_t>::max();
  other["lfs"]["size"] = int64_t{1} << 62;
  {
    const LocalServer server(hub(listing({huge, other}), {}));
    const std::string told = refusal(options(server), ErrorKind::kData);
    EXPECT_THAT(told, AllOf(HasSubstr("cannot be"), testing::Not(HasSubstr("-"))));
  }
  {
    const LocalServer server(hub(listing({huge}), {}));
    EXPECT_THAT(refusal(options(server), ErrorKind::kCannotCreate), HasSubstr("9223372036.9 GB are needed"));
  }
  huge["lfs"]["size"] = std::numeric_limits<uint64_t>::max();
  const LocalServer server(hub(listing({huge}), {}));
  EXPECT_THAT(refusal(options(server), ErrorKind::kData), HasSubstr("18446744073709551615"));
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

// A server that answers everything with a page, or with one file of the two.
TEST_F(PullTest, NothingIsKeptOfATokenizerThatIsNone) {
  test::TempFolder source;
  test::write_made_up_tokenizer(source.path());
  const std::string page = "<!DOCTYPE html>\n<html><body>Log in</body></html>\n";
  const std::string vocabulary = read_file(source / "vocab.json"), merges = read_file(source / "merges.txt");
  const std::vector<std::pair<std::string, std::string>> answers{
      {page, page}, {vocabulary, page}, {page, merges}, {vocabulary, "no merges here at all\n"}, {"{}", merges}};
  for (const bool had_one : {false, true}) {
    if (had_one) fs::copy(source.path(), folder_ / "out");
    for (const auto& [first, second] : answers) {
      const LocalServer server([&, first = first, second = second](const ServerRequest& request) {
        if (request.target.ends_with("/vocab.json")) return reply(200, first);
        return request.target.ends_with("/merges.txt") ? reply(200, second) : reply(404, page);
      });
      refusal(options(server, "tokenizer"), ErrorKind::kData);
      if (!had_one) {
        EXPECT_FALSE(fs::exists(folder_ / "out"));
        continue;
      }
      EXPECT_THAT(files(), UnorderedElementsAre("vocab.json", "merges.txt"));
      EXPECT_EQ(read_file(folder_ / "out/vocab.json"), vocabulary) << "the good one of before";
      EXPECT_EQ(read_file(folder_ / "out/merges.txt"), merges);
    }
  }
}

TEST_F(PullTest, APageInPlaceOfAModelsFileIsNotKept) {
  const nlohmann::json list{{"siblings", {{{"rfilename", "sd.safetensors"}}, {{"rfilename", "config.json"}}}}};
  for (const std::string body : {"<html>no</html>", "\xEF\xBB\xBF \n<!doctype HTML>"}) {
    const LocalServer server(hub(list.dump(), {{"sd.safetensors", body}, {"config.json", body}}));
    EXPECT_THAT(refusal(options(server), ErrorKind::kData), HasSubstr("web page"));
    EXPECT_THAT(files(), ElementsAre());
    EXPECT_FALSE(fs::exists(folder_ / "out"));
  }
}

TEST_F(PullTest, APipeAsThePieceIsRefused) {
  const LocalServer server(hub(listing({large_file("sd.safetensors")}), {{"sd.safetensors", kWeights}}));
  fs::create_directories(folder_ / "out");
  ASSERT_EQ(mkfifo((folder_ / "out/sd.safetensors.part").c_str(), 0600), 0);
  EXPECT_THAT(refusal(options(server), ErrorKind::kCannotCreate), HasSubstr("is a pipe"));
}

TEST_F(PullTest, TwoPullsOfOneFileDoNotMeet) {
  const LocalServer server(hub(listing({large_file("sd.safetensors")}), {{"sd.safetensors", kWeights}}));
  test::write_file(folder_ / "out/sd.safetensors.part", "the");
  const int other = open((folder_ / "out/sd.safetensors.part").c_str(), O_RDWR);
  ASSERT_EQ(flock(other, LOCK_EX), 0);
  EXPECT_THAT(refusal(options(server), ErrorKind::kCannotCreate), HasSubstr("another program"));
  close(other);
  pull(options(server));
}

TEST(ChooseFiles, ShardsAndIndexesFollowTheVariant) {
  const auto chosen = [](bool fp16) {
    std::vector<HubFile> files;
    for (const char* name :
         {"model_index.json", "unet/model-00001-of-00002.safetensors", "unet/model.safetensors.index.json",
          "unet/model.fp16-00001-of-00002.safetensors", "unet/model-00002-of-00002.fp16.safetensors",
          "unet/model.safetensors.index.fp16.json", "vae/model.safetensors", "text_encoder/model.fp16.safetensors",
          "unet/deeper/model.safetensors"}) {
      files.push_back({.name = name});
    }
    std::vector<std::string> names;
    for (const HubFile& file : choose_files("o/m", files, fp16)) names.push_back(file.name);
    return names;
  };
  EXPECT_THAT(chosen(false), ElementsAre("model_index.json", "unet/model-00001-of-00002.safetensors",
                                         "unet/model.safetensors.index.json", "vae/model.safetensors",
                                         "text_encoder/model.fp16.safetensors"));
  EXPECT_THAT(chosen(true),
              ElementsAre("model_index.json", "unet/model.fp16-00001-of-00002.safetensors",
                          "unet/model-00002-of-00002.fp16.safetensors", "unet/model.safetensors.index.fp16.json",
                          "vae/model.safetensors", "text_encoder/model.fp16.safetensors"));
}

TEST(ChooseFiles, WithoutAModelIndexTheCheckpointsAtTheTop) {
  const auto chosen = [](const std::vector<const char*>& names) {
    std::vector<HubFile> files;
    files.reserve(names.size());
    for (const char* name : names) files.push_back({.name = name});
    std::vector<std::string> result;
    for (const HubFile& file : choose_files("o/m", files, false)) result.push_back(file.name);
    return result;
  };
  EXPECT_THAT(chosen({"README.md", "sd.ckpt", "sd.safetensors", "v1.yaml"}), ElementsAre("sd.safetensors", "v1.yaml"));
  EXPECT_THAT(chosen({"sd.ckpt", "x/sd.safetensors"}), ElementsAre("sd.ckpt"));
}

TEST(UrlEscape, KeepsUnreservedCharactersAlone) {
  EXPECT_EQ(url_escape("a-b_c.~/\xC3\xA9 ?"), "a-b_c.~%2F%C3%A9%20%3F");
}

}  // namespace
}  // namespace sumi::app
