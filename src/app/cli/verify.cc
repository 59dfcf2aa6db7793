// sumi verify: draws a picture again by its own settings and compares.
#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/cli/command.h"
#include "app/cli/generate.h"
#include "app/cli/like.h"
#include "app/cli/process.h"
#include "base/check.h"
#include "base/text_util.h"
#include "image/file_texts.h"
#include "image/metadata.h"
#include "image/read.h"

namespace sumi::app {
namespace {

struct VerifyFlags {
  SharedFlags shared{.defaults = "quick", .seed = "-1"};
  GenerateJob job;
  std::string file;
};

// Two pictures of one size.
struct Difference {
  double psnr = INFINITY;  // decibels
  double equal = 1.0;      // part of the pixels
  int largest = 0;         // of a channel
};

Difference difference_of(const image::Image& a, const image::Image& b) {
  Difference d;
  double squares = 0.0;
  int64_t equal = 0;
  const size_t pixels = a.pixels.size() / 3;
  for (size_t i = 0; i < pixels; ++i) {
    int most = 0;
    for (size_t c = 3 * i; c < 3 * i + 3; ++c) {
      const int off = std::abs(int{a.pixels[c]} - int{b.pixels[c]});
      squares += static_cast<double>(off * off);
      most = std::max(most, off);
    }
    equal += most == 0 ? 1 : 0;
    d.largest = std::max(d.largest, most);
  }
  d.equal = static_cast<double>(equal) / static_cast<double>(pixels);
  if (squares > 0.0) d.psnr = 10.0 * std::log10(255.0 * 255.0 * static_cast<double>(a.pixels.size()) / squares);
  return d;
}

std::string value_of(const std::string& parameters, std::string_view key) {
  const image::GenerationParameters read = image::parse_parameters(parameters);
  return key == "Version" ? read.version : read.model;
}

// What could make the difference, in words.
std::vector<std::string> reasons(const std::string& then, const std::string& now,
                                 const std::vector<std::string>& untaken) {
  std::vector<std::string> out;
  for (const char* key : {"Version", "Model"}) {
    const std::string before = value_of(then, key), after = value_of(now, key);
    if (before != after)
      out.push_back(fmt::format("{} {} then, {} now", key, before.empty() ? "unknown" : excerpt(before), after));
  }
  for (const std::string& one : untaken) out.push_back("not taken: " + in_options(one));
  return out;
}

class Verification {
 public:
  explicit Verification(VerifyFlags& flags) : flags_(flags), file_(flags.file) {}

  int operator()() {
    SUMI_CHECK_KIND(kUsage, !gives_several(flags_.shared.pictures),
                    "verify draws one picture again: --init names the one that it began from, not several");
    const std::vector<std::byte> bytes = image::read_file({.path = file_});
    given_ = image::decode_picture(bytes, file_);
    const std::vector<image::PngText> texts = image::read_texts(bytes, file_);
    if (const std::string* parameters = image::parameters_in(texts)) parameters_ = *parameters;
    flags_.shared.like = file_;
    const bool json = std::exchange(flags_.job.json, false);
    untaken_ = apply_shared_flags(flags_.shared, flags_.job);
    if (!flags_.job.only && flags_.job.request.prompts.size() == 1) flags_.job.only = 0;
    generate(flags_.job,
             {.begin = {}, .picture = [this](const Picture& picture, GenerateReport&) { take(picture); }, .end = {}});
    SUMI_CHECK_KIND(kInternal, drawn_, "{}: no picture came out of its settings", file_);
    json ? say_json() : say_words();
    return same() ? 0 : 1;
  }

 private:
  void take(const Picture& picture) {
    drawn_ = picture.image;
    now_ = picture.parameters;
  }

  bool same_size() const { return given_.width == drawn_->width && given_.height == drawn_->height; }
  bool same() const { return given_ == *drawn_; }

  void say_words() const {
    if (same()) return say(fmt::format("{}: same bytes\n", file_));
    std::string text = fmt::format("{}: different: ", file_);
    if (same_size()) {
      const Difference d = difference_of(given_, *drawn_);
      text += fmt::format("PSNR {:.2f} dB, {:.2f} % of the pixels equal, none off by more than {}", d.psnr,
                          100.0 * d.equal, d.largest);
    } else {
      text +=
          fmt::format("{}x{} pixels, drawn again {}x{}", given_.width, given_.height, drawn_->width, drawn_->height);
    }
    const std::vector<std::string> why = reasons(parameters_, now_, untaken_);
    if (!why.empty()) text += fmt::format(" ({})", fmt::join(why, "; "));
    say(text + "\n");
  }

  void say_json() const {
    nlohmann::ordered_json json{{"file", file_}, {"same", same()}};
    if (!same() && same_size()) {
      const Difference d = difference_of(given_, *drawn_);
      json.update({{"psnr", d.psnr}, {"equal", d.equal}, {"largest", d.largest}});
    }
    json["size"] = {given_.width, given_.height};
    json["drawn"] = {drawn_->width, drawn_->height};
    json["reasons"] = same() ? std::vector<std::string>() : reasons(parameters_, now_, untaken_);
    say(as_line(json));
  }

  VerifyFlags& flags_;
  std::string file_, parameters_, now_;  // the settings' text in the file and of what was drawn
  std::vector<std::string> untaken_;
  image::Image given_;
  std::optional<image::Image> drawn_;
};

// What an option is by default is the picture's own.
void clear_defaults(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (!option->check_lname("backend")) option->default_str("");
  }
}

std::function<int()> declare(CLI::App& app) {
  auto flags = std::make_shared<VerifyFlags>();
  app.add_option("file", flags->file, "A picture that carries its settings")->required()->type_name("FILE.png");
  add_picture_flags(app, flags->shared.pictures);
  add_shared_flags(app, flags->shared, flags->job);
  clear_defaults(app);
  return [flags] { return Verification(*flags)(); };
}

const CommandRegistration kRegistration({
    .name = "verify",
    .help = "Draw a picture again by its own settings and compare",
    .examples = R"(Examples:
  sumi verify lighthouse.png --ckpt sd-v1-4.ckpt
  sumi verify inpainted.png --ckpt sd-v1-4.ckpt --init photos/room.jpg --json
What no option gives is as the picture tells. Prints "same bytes", or how far the two are from each other and what could
be the reason. The exit code is 0 where they are the same, 1 where they differ.
)",
    .declare = declare,
});

}  // namespace
}  // namespace sumi::app
