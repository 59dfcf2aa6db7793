// sumi watermark: the invisible watermark of a picture, read or written.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/cli/command.h"
#include "app/cli/common.h"
#include "app/cli/output.h"
#include "app/cli/process.h"
#include "base/check.h"
#include "base/text_util.h"
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

// A picture, and with a PNG the texts beside it.
struct Loaded {
  image::Image picture;
  std::vector<image::PngText> texts;
};

Loaded load(const std::string& file) {
  const std::vector<std::byte> bytes = image::read_file({.path = file});
  const std::string shown = excerpt(file);
  Loaded out;
  if (bytes.size() > 4 && bytes[0] == std::byte{0x89} && bytes[1] == std::byte{'P'}) {
    image::Png png = image::decode_png(bytes, shown);
    out = {std::move(png.image), std::move(png.texts)};
  } else {
    out.picture = image::decode_picture(bytes, shown);
  }
  const int64_t pixels = out.picture.width * out.picture.height;
  SUMI_CHECK(pixels >= image::kLeastWatermarkPixels,
             "{} is {}x{}: pictures of fewer than {} pixels (256x256) carry no watermark", shown, out.picture.width,
             out.picture.height, image::kLeastWatermarkPixels);
  return out;
}

// The text's, then SDXL's.
std::vector<Reading> look_for(const image::Image& picture, const std::string& text) {
  const Bits bits = image::watermark_bits(text), &sdxl = image::sdxl_watermark_bits();
  return {compare(text, bits, image::decode_watermark(picture, bits.size())),
          compare("SDXL", sdxl, image::decode_sdxl_watermark(picture, sdxl.size()))};
}

const Reading* found_in(const std::vector<Reading>& readings) {
  const auto found = std::find_if(readings.begin(), readings.end(), [](const Reading& r) { return r.is_found(); });
  return found == readings.end() ? nullptr : &*found;
}

std::string as_text(const std::string& file, const std::vector<Reading>& readings) {
  const Reading* found = found_in(readings);
  std::string shares;
  for (const Reading& r : readings) {
    if (found != nullptr && found != &r) continue;
    shares += fmt::format("{}{}{:.1f}% of {} bits agree", shares.empty() ? "" : ", ",
                          found != nullptr ? "" : strip_control(r.name) + ": ", r.percent(), r.bits);
  }
  return fmt::format("{}: {} ({})\n", strip_control(file), found != nullptr ? strip_control(found->name) : "none",
                     shares);
}

nlohmann::ordered_json as_json(const std::string& file, const std::vector<Reading>& readings) {
  const Reading* found = found_in(readings);
  nlohmann::ordered_json json{{"file", file}};
  json["watermark"] = found != nullptr ? nlohmann::ordered_json(found->name) : nlohmann::ordered_json(nullptr);
  for (const Reading& r : readings)
    json["looked_for"].push_back({{"name", r.name},
                                  {"bits", r.bits},
                                  {"agreeing", r.agreeing},
                                  {"needed", image::convincing_bits(r.bits)},
                                  {"found", r.is_found()}});
  return json;
}

int read_watermarks(const WatermarkFlags& flags) {
  auto json = nlohmann::ordered_json::array();
  bool all_found = true;
  for (const std::string& file : flags.files) {
    const std::vector<Reading> readings = look_for(load(file).picture, flags.text);
    all_found = all_found && found_in(readings) != nullptr;
    if (flags.json) json.push_back(as_json(file, readings));
    if (!flags.json) say(as_text(file, readings));
  }
  if (flags.json) say(as_line(json));
  return all_found ? 0 : kNotFound;
}

int write_watermark(const WatermarkFlags& flags) {
  SUMI_CHECK_KIND(kUsage, flags.files.size() == 1, "--write takes one picture, not {}", flags.files.size());
  SUMI_CHECK_KIND(kUsage, !flags.json, "--json is for reading; leave --write out");
  check_output_file(flags.write);
  const Bits bits = image::watermark_bits(flags.text);
  Loaded loaded = load(flags.files[0]);
  image::embed_watermark(loaded.picture, bits);
  {
    const SignalsWait wait;
    image::write_png(flags.write, loaded.picture, loaded.texts);
  }
  const Reading reading = compare(flags.text, bits, image::decode_watermark(loaded.picture, bits.size()));
  if (!reading.is_found())
    note(
        fmt::format("warning: only {} of {} bits can be read again: this picture has too little room for the watermark "
                    "(saturated or very rough colours), so it will not be found",
                    reading.agreeing, reading.bits));
  return 0;
}

std::function<int()> declare(CLI::App& app) {
  auto flags = std::make_shared<WatermarkFlags>();
  app.add_option("files", flags->files, "Pictures of 65,536 pixels or more")->required()->type_name("");
  app.add_option("--text", flags->text, "The text to look for or to write, 3 to 128 bytes")
      ->type_name("TEXT")
      ->default_str(flags->text);
  app.add_option("--write", flags->write, "Write the one picture with the watermark into this PNG")->type_name("FILE");
  app.add_flag("--json", flags->json, "As a JSON list: of each file what was found and how many bits agree");
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
picture is scaled, and often when it is saved as JPEG. Exit code: 0 if every picture carries one, 1 if one carries none.
)",
                                         .declare = declare});

}  // namespace
}  // namespace sumi::app
