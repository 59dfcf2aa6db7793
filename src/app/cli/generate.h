// Drawing from the command line: words become a Request, replies become files and sentences.
#pragma once

#include <functional>
#include <optional>

#include "app/cli/common.h"
#include "app/cli/picture_flags.h"

namespace sumi::app {

// A file that the command line names, and the option that does.
struct NamedOutput {
  std::string option;
  std::filesystem::path file;
};

struct GenerateJob {
  Request request;
  std::optional<CheckedRequest> checked;  // the request, once it is complete
  std::vector<InitPicture> pictures;      // to begin from, each in a job of its own; one without a name: none is given
  std::optional<std::string> preview;     // where the picture in the making goes: "terminal", or a PNG file
  std::vector<NamedOutput> outputs;       // that are written over; none may be a picture that is read
  EngineFlags engine;
  ModelChoice model;
  std::optional<int64_t> channels, downsampling;  // what the original's user says of the latent; checked
  std::optional<int64_t> only;                    // the number of the picture that is wanted; none: all
  bool quiet = false;                             // only errors on standard error
  bool json = false;                              // one JSON object on standard output instead of the files' names
  bool seed_was_drawn = false;                    // then it is printed
  bool subseed_was_drawn = false;
};

// The report at the end.
struct Written {
  std::filesystem::path file;
  std::string prompt;
  uint64_t seed;
  int64_t width, height;
  std::filesystem::path init;  // that it began from; empty: none
};
struct GenerateReport {
  std::filesystem::path init;  // the picture that the present one begins from; empty: none
  int64_t before = 0;          // pictures of the earlier jobs, those of other processes too
  std::vector<Written> images;
  std::vector<std::filesystem::path> grids;

  void add(const std::filesystem::path& file, const Picture& picture);
};

// The output: `begin` is called once all checks are done and the weights are loaded, with the settings of the first
// job; `picture` for each picture; `end` after the last, with the settings of the first picture.
struct GenerateOutput {
  std::function<void(const Settings& settings)> begin;
  std::function<void(const Picture& picture, GenerateReport& report)> picture;
  std::function<void(const std::string& parameters, GenerateReport& report)> end;
};

// Opens the model, prepares the job, prints how much memory it will take, loads, draws and reports. The outputs must
// have been checked before. Throws Error.
void generate(const GenerateJob& job, const GenerateOutput& output);

// Options of txt2img, img2img, the short form and eval. The values here are the options' defaults where the form has
// its own.
struct SharedFlags {
  std::string defaults = "original";  // see Request::defaults; --help shows what it means
  std::string seed = "42";
  std::string syntax;  // empty: the defaults'
  std::optional<std::string> negative_prompt, sampler, schedule, seeding, rng;
  std::optional<int64_t> width, height, steps;
  std::optional<double> scale, eta;
  bool tiled_decode = false;
  std::vector<std::string> loras, embeddings;  // FILE or FILE:WEIGHT
  std::string lora_folder, embedding_folder;
  PictureFlags pictures;  // of commands that call add_picture_flags
  std::string like;       // a picture to take the settings of; of commands that call add_like_option
  std::function<bool(const std::string& option)> given;  // whether the command line has the option
};
void add_shared_flags(CLI::App& app, SharedFlags& flags, GenerateJob& job);
// Copies the flags into the job's request and checks it, with every picture to begin from and the outputs; throws
// Error(kUsage). Call it once the rest of the job is set. Returns what was not taken from the picture for --like, in
// words.
std::vector<std::string> apply_shared_flags(const SharedFlags& flags, GenerateJob& job);

}  // namespace sumi::app
