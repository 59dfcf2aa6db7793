// Readers of what strangers send, on millions of damaged inputs: ./ci.sh fuzz [inputs]. A reader returns or throws
// Error; anything else, and what the sanitizers see, ends this program. The same inputs on every run.
//
//   readers_fuzz INPUTS [SEED [READER]]     ends with "N inputs, M of them taken"
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "app/server/http_parser.h"
#include "app/server/http_text.h"
#include "app/server/multipart.h"
#include "app/server/openai_request.h"
#include "app/server/submission.h"
#include "app/server/webui_request.h"
#include "base/base64.h"
#include "base/check.h"
#include "io/json_text.h"
#include "tests/support/temp_folder.h"

namespace sumi::app {
namespace {

constexpr size_t kMostBytes = 2048;  // of an input: longer ones take longer, and show no more

// Damages a text: bits, bytes that mean something, cuts, repeats, parts of another seed.
class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  std::string operator()(std::string text, const std::string& other) {
    for (size_t changes = 1 + below(6); changes > 0; --changes) change(text, other);
    return text;
  }
  size_t below(size_t bound) { return static_cast<size_t>(random_() % bound); }

 private:
  void change(std::string& text, const std::string& other) {
    static constexpr char kMeaning[] = "\0\r\n\t \"\\/{}[]:,;=&%+-?#.<>09aAeE_\x7f\x80\xc3\xff";
    static constexpr size_t kMeanings = sizeof kMeaning - 1;
    static constexpr std::string_view kWords[] = {
        "null",   "true",   "-1",          "1e999",     "NaN",   "\\u0000",  "%00",     "..",
        "\r\n--", "--\r\n", "\"a\":\"a\"", "boundary=", "data:", ";base64,", "chunked", "18446744073709551616"};
    if (text.empty()) text = other.substr(0, 64);
    if (text.empty()) return;
    const size_t at = below(text.size());
    switch (below(8)) {
      case 0: text[at] = static_cast<char>(text[at] ^ (1 << below(8))); break;
      case 1: text[at] = kMeaning[below(kMeanings)]; break;
      case 2: text.insert(at, 1, kMeaning[below(kMeanings)]); break;
      case 3: text.insert(at, kWords[below(std::size(kWords))]); break;
      case 4: text.erase(at, 1 + below(16)); break;
      case 5: text.insert(at, text.substr(below(text.size()), 1 + below(48))); break;
      case 6:
        if (!other.empty()) text.insert(at, other.substr(below(other.size()), 1 + below(48)));
        break;
      default: text.resize(at);
    }
    if (text.size() > kMostBytes) text.resize(kMostBytes);
  }
  std::mt19937_64 random_;
};

constexpr const char* kPixel =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

struct Reader {
  const char* name;
  std::vector<std::string> seeds;
  std::function<bool(const std::string&)> read;  // whether the input was taken
};

std::string pixel() {
  const auto bytes = from_base64(kPixel);
  return {reinterpret_cast<const char*>(bytes->data()), bytes->size()};
}

std::string form_seed() {
  const auto part = [](const std::string& head, const std::string& body) {
    return "--XyZ\r\nContent-Disposition: form-data; " + head + "\r\n\r\n" + body + "\r\n";
  };
  return part("name=\"prompt\"", "a red apple") + part("name=\"n\"", "2") + part("name=\"size\"", "64x64") +
         part("name=\"image\"; filename=\"a.png\"\r\nContent-Type: image/png", pixel()) + "--XyZ--\r\n";
}

// Whole or in two parts, as a socket has it.
bool take_request(const std::string& text) {
  static const HttpLimits limits{.target_bytes = 1024, .header_bytes = 4096, .headers = 20, .body_bytes = 4096};
  RequestParser parser(limits);
  std::string_view rest = text;
  while (!rest.empty() && !parser.is_done() && parser.status() == 0) {
    const size_t taken = parser.take(rest.substr(0, 1 + rest.size() / 2));
    if (taken == 0 && parser.take(rest) == 0) break;
    if (taken == 0) break;
    rest.remove_prefix(taken);
  }
  if (!parser.is_done() || parser.status() != 0) return false;
  const HttpRequest& request = parser.request();
  if (request.path.empty() || request.path[0] != '/' || request.path.find('\0') != std::string::npos) std::abort();
  if (("/" + request.path + "/").find("/../") != std::string::npos) std::abort();
  return true;
}

bool take_target(const std::string& text) {
  HttpRequest request;
  if (!read_target(text, request).empty()) return false;
  if (request.path.find("/../") != std::string::npos || request.path.find('\\') != std::string::npos) std::abort();
  return true;
}

bool take_base64(const std::string& text) {
  const auto bytes = from_base64(text);
  if (!bytes) return false;
  const auto again = from_base64(base64_of(*bytes));
  if (!again || *again != *bytes) std::abort();
  return true;
}

// What is read goes into a queue and a store as text: it must come back the same.
bool take_submission(const std::string& text) {
  const std::string once = to_json(parse_submission(text));
  if (to_json(parse_stored_submission(once)) != once) std::abort();
  return true;
}

bool take_form(const std::string& text) {
  for (const FormPart& part : parse_form(text, "multipart/form-data; boundary=XyZ")) {
    if (part.name.empty()) std::abort();
    if (part.body.empty()) continue;
    if (part.body.data() < text.data() || part.body.data() + part.body.size() > text.data() + text.size()) std::abort();
  }
  return true;
}

nlohmann::json json_of(const std::string& text) {
  return io::parse_json(text, {.subject = "the body", .kind = ErrorKind::kUsage, .max_string_bytes = 1 << 20});
}

bool take_edit(const std::string& text) {
  read_edit(parse_form(text, "multipart/form-data; boundary=XyZ"), [](const std::string&) { return std::string(); });
  return true;
}

std::vector<Reader> readers(const WebOptions& options) {
  const std::string request =
      R"({"prompts": ["a red apple", "b"], "negative_prompt": "x", "seed": 7, "steps": 20, "scale": 7.5, "width": 64,)"
      R"("height": 64, "sampler": "ddim", "init": "data:image/png;base64,)" +
      std::string(kPixel) + R"(", "hires": {"scale": 2.0}, "loras": [{"file": "a", "weight": 0.5}]})";
  const std::string common =
      R"({"prompt": "(b:1.2) a", "seed": 5, "steps": 20, "cfg_scale": 7, "width": 64, "height": 64, "batch_size": 2,)"
      R"("sampler_name": "Euler a", "scheduler": "Karras", "n_iter": 1, )";
  const std::string txt2img = common + R"("enable_hr": true, "hr_scale": 2, "denoising_strength": 0.5})";
  const std::string img2img =
      common + R"("denoising_strength": 0.5, "init_images": [")" + std::string(kPixel) + R"("]})";
  return {
      {"HTTP request",
       {"GET /v1/jobs?a=b&c=%20d HTTP/1.1\r\nHost: localhost:7860\r\nAccept: */*\r\n\r\n",
        "POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"a\": 1}\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nT: "
        "u\r\n\r\n"},
       take_request},
      {"query",
       {"/sdapi/v1/progress?skip_current_image=true&x=a+b%2Fc", "/v1/jobs/abc/pictures/0", "/a/%2e%2e/b"},
       take_target},
      {"base64", {kPixel, "aGVsbG8gd29ybGQ=", "aGVs\r\nbG8"}, take_base64},
      {"job",
       {R"({"request": )" + request + R"(, "model": "m", "priority": 1, "previews": true})",
        R"({"upscaling": {"picture": "data:,", "upscaler": "lanczos", "scale": 2.5, "width": 10, "height": 9}})"},
       take_submission},
      {"form", {form_seed()}, take_form},
      {"edit", {form_seed()}, take_edit},
      {"generation",
       {R"({"prompt": "a", "n": 1, "size": "64x64", "stream": true, "partial_images": 2, "seed": 1})"},
       [](const std::string& text) {
         read_generation(text, [](const std::string&) { return std::string(); });
         return true;
       }},
      {"txt2img",
       {txt2img},
       [&options](const std::string& text) {
         read_txt2img(json_of(text), options);
         return true;
       }},
      {"img2img",
       {img2img},
       [&options](const std::string& text) {
         read_img2img(json_of(text), options);
         return true;
       }},
  };
}

}  // namespace

int fuzz(uint64_t inputs, uint64_t seed, const std::string& only) {
  // A shelf needs a file; it is not opened.
  const test::TempFolder folder;
  std::ofstream(folder / "m.safetensors") << "a model";
  const Shelf shelf({}, {{.path = (folder / "m.safetensors").string()}});
  const Library library;
  const WebOptions options(shelf, library);
  const std::vector<Reader> all = readers(options);
  Mutator mutate(seed);
  for (const Reader& reader : all) {
    if (!only.empty() && only != reader.name) continue;
    // What a reader takes is damaged further.
    std::vector<std::string> corpus = reader.seeds;
    uint64_t taken = 0;
    const uint64_t share = only.empty() ? inputs / all.size() + 1 : inputs;
    for (uint64_t i = 0; i < share; ++i) {
      const std::string input = i < reader.seeds.size()
                                    ? reader.seeds[i]
                                    : mutate(corpus[mutate.below(corpus.size())], corpus[mutate.below(corpus.size())]);
      try {
        if (!reader.read(input)) continue;
      } catch (const Error& error) {
        if (i < reader.seeds.size()) std::printf("%s: a seed is refused: %s\n", reader.name, error.what());
        continue;
      }
      ++taken;
      if (corpus.size() < 500) {
        corpus.push_back(input);
      } else {
        corpus[mutate.below(corpus.size())] = input;
      }
    }
    std::printf("%-14s %10llu inputs, %llu of them taken\n", reader.name, static_cast<unsigned long long>(share),
                static_cast<unsigned long long>(taken));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace sumi::app

int main(int count, char** words) {
  const uint64_t inputs = count > 1 ? std::strtoull(words[1], nullptr, 10) : 1'000'000;
  const uint64_t seed = count > 2 ? std::strtoull(words[2], nullptr, 10) : 1;
  return sumi::app::fuzz(inputs, seed, count > 3 ? words[3] : "");
}
