// sumi watermark: the invisible watermark of a picture, read or written.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "app/cli/command.h"
#include "app/cli/common.h"
#include "app/cli/output.h"
#include "app/cli/process.h"
#include "base/check.h"
#include "base/text_util.h"
#include "image/file_texts.h"
#include "image/png.h"
#include "image/read.h"
#include "image/watermark.h"

namespace sumi::app {
namespace {

using image::Bits;

struct WatermarkFlags {
  std::vector<std::string> files;
  std::string text{image::kWatermarkText};
  std::string write;
  bool json = false;
};

constexpr int kNotFound = 1;  // exit code

// A watermark that was looked for.
struct Reading {
  std::string name;
  int64_t bits = 0, agreeing = 0;

  bool is_found() const { return agreeing >= image::convincing_bits(bits); }
  double percent() const { return 100.0 * static_cast<double>(agreeing) / static_cast<double>(bits); }
};

Reading compare(const std::string& name, const Bits& wanted, const Bits& read) {
  return {name, static_cast<int64_t>(wanted.size()), image::agreeing_bits(wanted, read)};
}

bool has_room(const image::Image& picture) { return picture.width * picture.height >= image::kLeastWatermarkPixels; }

// What became of one file that was read: `readings`, or why there are none.
struct Result {
  std::string file;
  std::vector<Reading> readings = {};
  std::string too_small = {};  // the picture, for a watermark: its size
  std::optional<Error> error = {};

  const Reading* found() const {
    const auto it = std::find_if(readings.begin(), readings.end(), [](const Reading& r) { return r.is_found(); });
    return it == readings.end() ? nullptr : &*it;
  }
};

// The text's, then SDXL's.
std::vector<Reading> look_for(const image::Image& picture, const std::string& text, const Bits& bits) {
  const Bits& sdxl = image::sdxl_watermark_bits();
  return {compare(text, bits, image::decode_watermark(picture, bits.size())),
          compare("SDXL", sdxl, image::decode_sdxl_watermark(picture, sdxl.size()))};
}

// Whether the error is of one file, and others can be read all the same.
bool is_of_file(const Error& error) {
  return error.kind() == ErrorKind::kData || error.kind() == ErrorKind::kNoInput || error.kind() == ErrorKind::kIo;
}

Result examine(const std::string& file, const std::string& text, const Bits& bits) {
  try {
    const image::Image picture = image::read_picture({.path = file}, excerpt(file));
    if (!has_room(picture)) return {.file = file, .too_small = fmt::format("{}x{}", picture.width, picture.height)};
    return {.file = file, .readings = look_for(picture, text, bits)};
  } catch (const Error& error) {
    if (!is_of_file(error)) throw;
    return {.file = file, .error = error};
  }
}

std::string as_text(const Result& result) {
  const std::string file = strip_control(result.file);
  if (!result.too_small.empty())
    return fmt::format("{}: none (too small: {}; a watermark takes {} pixels or more)\n", file, result.too_small,
                       image::kLeastWatermarkPixels);
  const Reading* found = result.found();
  std::string shares;
  for (const Reading& r : result.readings) {
    if (found != nullptr && found != &r) continue;
    shares += fmt::format("{}{}{:.1f}% of {} bits agree", shares.empty() ? "" : ", ",
                          found != nullptr ? "" : strip_control(r.name) + ": ", r.percent(), r.bits);
  }
  return fmt::format("{}: {} ({})\n", file, found != nullptr ? strip_control(found->name) : "none", shares);
}

nlohmann::ordered_json as_json(const Result& result) {
  const Reading* found = result.found();
  nlohmann::ordered_json json{{"file", result.file}};
  json["watermark"] = found != nullptr ? nlohmann::ordered_json(found->name) : nlohmann::ordered_json(nullptr);
  if (!result.too_small.empty()) json["too_small"] = true;
  if (result.error) json["error"] = result.error->what();
  json["looked_for"] = nlohmann::ordered_json::array();
  for (const Reading& r : result.readings)
    json["looked_for"].push_back({{"name", r.name},
                                  {"bits", r.bits},
                                  {"agreeing", r.agreeing},
                                  {"needed", image::convincing_bits(r.bits)},
                                  {"found", r.is_found()}});
  return json;
}

// The exit code: of the first error, if there is any.
int read_watermarks(const WatermarkFlags& flags) {
  const Bits bits = image::watermark_bits(flags.text);
  auto json = nlohmann::ordered_json::array();
  int error = 0;
  bool all_found = true;
  for (const std::string& file : flags.files) {
    const Result result = examine(file, flags.text, bits);
    all_found = all_found && result.found() != nullptr;
    if (error == 0 && result.error) error = result.error->exit_code();
    if (flags.json) {
      json.push_back(as_json(result));
    } else if (result.error) {
      note(result.error->what());
    } else {
      say(as_text(result));
    }
  }
  if (flags.json) say(as_line(json));
  if (error != 0) return error;
  return all_found ? 0 : kNotFound;
}

int write_watermark(const WatermarkFlags& flags) {
  SUMI_CHECK_KIND(kUsage, flags.files.size() == 1, "--write takes one picture, not {}", flags.files.size());
  SUMI_CHECK_KIND(kUsage, !flags.json, "--json is for reading; leave --write out");
  check_output_file(flags.write);
  const Bits bits = image::watermark_bits(flags.text);
  const std::string shown = excerpt(flags.files[0]);
  auto [picture, texts] = image::read_with_texts(flags.files[0], shown);
  SUMI_CHECK(has_room(picture), "{} is {}x{}: pictures of fewer than {} pixels (256x256) carry no watermark", shown,
             picture.width, picture.height, image::kLeastWatermarkPixels);
  image::embed_watermark(picture, bits);
  {
    const SignalsWait wait;
    image::write_png(flags.write, picture, texts);
  }
  const Reading reading = compare(flags.text, bits, image::decode_watermark(picture, bits.size()));
  if (!reading.is_found())
    note(
        fmt::format("warning: only {} of {} bits can be read again: this picture has too little room for the watermark "
                    "(saturated or very rough colours), so it will not be found",
                    reading.agreeing, reading.bits));
  return 0;
}

std::function<int()> declare(CLI::App& app) {
  auto flags = std::make_shared<WatermarkFlags>();
  app.add_option("files", flags->files, "Pictures; those of fewer than 65,536 pixels carry none")
      ->required()
      ->type_name("");
  app.add_option("--text", flags->text, "The text to look for or to write, 3 to 128 bytes")
      ->type_name("TEXT")
      ->default_str(flags->text);
  app.add_option("--write", flags->write, "Write the one picture with the watermark into this PNG")->type_name("FILE");
  app.add_flag("--json", flags->json,
               "As a JSON list: of each file what was found and how many bits agree, or the error");
  return [flags] { return flags->write.empty() ? read_watermarks(*flags) : write_watermark(*flags); };
}

const CommandRegistration kRegistration({.name = "watermark",
                                         .help = "Read or write the invisible watermark of a picture",
                                         .examples = R"(Examples:
  sumi watermark picture.png
  sumi watermark --json downloads/*.png
  sumi watermark drawing.png --write marked.png
Looks for the text that the original's scripts put into their pictures and for the 48 bits of SDXL in diffusers. A
watermark is found where more bits agree than chance brings about in one of ten million pictures. It is lost when the
picture is scaled, and often when it is saved as JPEG. The texts of a PNG, JPEG or WebP are kept by --write. Exit code:
0 if every picture carries one, 1 if one carries none or is too small; 65 or 66 if a file cannot be read, which does not
keep the others from being looked at.
)",
                                         .declare = declare});

}  // namespace
}  // namespace sumi::app
