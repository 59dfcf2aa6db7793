#include "app/cli/like.h"

#include <filesystem>

#include "app/cli/arguments.h"
#include "app/cli/process.h"
#include "app/places.h"
#include "base/check.h"
#include "base/log.h"
#include "base/text_util.h"
#include "engine/find_lora.h"
#include "engine/given.h"
#include "engine/like.h"
#include "engine/resolve.h"
#include "image/read.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;

class LikeFiles {
 public:
  LikeFiles(const fs::path& picture, const fs::path& model) {
    near_ = {fs::path("."), picture.has_parent_path() ? picture.parent_path() : fs::path(".")};
    std::error_code error;
    beside_model_ = fs::is_directory(model, error) ? model : fs::absolute(model, error).parent_path();
    data_ = find_places().data_folder;
  }

  // The path of a file, or "". `own_folders`: beside the model and in the data folder.
  std::string find(const std::string& name, std::vector<std::string> own_folders, bool any_ending) const {
    std::vector<fs::path> folders = near_;
    if (!own_folders.empty()) folders.push_back(beside_model_);
    for (const std::string& folder : own_folders) {
      folders.push_back(beside_model_ / folder);
      if (!data_.empty()) folders.push_back(data_ / folder);
    }
    std::error_code error;
    for (const fs::path& folder : folders) {
      const fs::path whole = folder / name;
      if (fs::exists(whole, error)) return plain(whole);
      for (const std::string_view ending : engine::kModelEndings) {
        const fs::path ended = folder / (name + std::string(ending));
        if (any_ending && fs::exists(ended, error)) return plain(ended);
      }
    }
    return "";
  }

  std::string need(const std::string& name, const std::string& what, const std::string& option,
                   std::vector<std::string> own_folders = {}, bool any_ending = false) const {
    std::string found = find(name, std::move(own_folders), any_ending);
    SUMI_CHECK_KIND(kNoInput, !found.empty(),
                    "{}, {}, is neither in this folder nor beside the picture; give it with {}", excerpt(name), what,
                    option);
    return found;
  }

  std::string lora(const std::string& name, const std::string& chosen, const fs::path& model) const {
    for (const fs::path& folder : near_) {
      for (const char* ending : {".safetensors", ".pt", ".ckpt", ""}) {
        const fs::path file = folder / (name + ending);
        std::error_code error;
        if (fs::is_regular_file(file, error)) return plain(file);
      }
    }
    return engine::find_lora(name, chosen, model, data_).string();
  }

 private:
  static std::string plain(const fs::path& path) { return path.lexically_normal().string(); }

  std::vector<fs::path> near_;  // where any file may be
  fs::path beside_model_, data_;
};

// Warns where a file has other bytes than the one that the picture was made with.
void check_hash(const std::string& file, const std::string& hash) {
  if (hash.empty()) return;
  const std::string found = engine::hash_of(image::read_file({.path = file}));
  if (found != hash)
    warn("{} is not the file that the picture was made with: its hash is {}, not {}", file, found, hash);
}

// Settles which files the settings of a picture mean, unless the command line gives others.
class Finder {
 public:
  Finder(const LikeFiles& files, const fs::path& model, const SharedFlags& flags, const Request& given,
         engine::Like& like)
      : files_(files), model_(model), flags_(flags), given_(given), like_(like), r_(like.request) {}

  void operator()() {
    find_pictures();
    find_controls();
    find_loras();
    find_embeddings();
    if (r_.hires && r_.hires->upscaler && !flags_.pictures.hires_upscaler) find_upscaler(*r_.hires->upscaler);
    if (!r_.safety_checker.empty() && given_.safety_checker.empty()) {
      const std::string found = files_.find(r_.safety_checker, {"safety_checker"}, false);
      if (found.empty())
        like_.untaken.push_back(fmt::format("safety checker {} (give it with --safety-checker)", r_.safety_checker));
      r_.safety_checker = found;
    }
  }

 private:
  void find_pictures() {
    if (!given_.init.empty()) {
      r_.init = given_.init;
    } else if (!r_.init.empty()) {
      r_.init = files_.need(r_.init, "the picture that it began from", "--init");
      check_hash(r_.init, like_.init_hash);
    }
    if (!given_.mask.empty()) {
      r_.mask = given_.mask;
    } else if (!r_.mask.empty()) {
      r_.mask = files_.need(r_.mask, "its mask", "--mask");
      check_hash(r_.mask, like_.mask_hash);
    }
    if (!given_.extend.empty()) r_.extend = given_.extend;
  }

  void find_controls() {
    if (!given_.controls.empty()) {
      r_.controls = given_.controls;
      return;
    }
    for (size_t i = 0; i < r_.controls.size(); ++i) {
      Control& control = r_.controls[i];
      control.model = files_.need(control.model, "a ControlNet", "--control MODEL:IMAGE",
                                  {"controlnets", "controlnet", "ControlNet"}, true);
      control.image = files_.need(control.image, "the picture of a ControlNet", "--control MODEL:IMAGE");
      check_hash(control.image, like_.control_hashes[i]);
    }
  }

  // A prompt with LoRAs of its own is one without the picture's.
  void find_loras() {
    const bool own = !given_.prompts.empty() && given_.prompts[0].find("<lora:") != std::string::npos;
    if (own || !given_.loras.empty()) r_.loras.clear();
    for (Lora& lora : r_.loras) lora.file = files_.lora(lora.file, flags_.lora_folder, model_);
  }

  void find_embeddings() {
    if (!given_.embeddings.empty()) r_.embeddings.clear();
    for (std::string& file : r_.embeddings) {
      std::error_code error;
      const fs::path chosen = fs::path(flags_.embedding_folder) / file;
      file = !flags_.embedding_folder.empty() && fs::exists(chosen, error)
                 ? chosen.string()
                 : files_.need(file, "an embedding", "--embedding", {"embeddings"});
    }
  }

  void find_upscaler(std::string& name) const {
    if (engine::is_upscaler_name(name)) return;
    name = files_.need(name, "an upscaling model", "--hires-upscaler", {"upscalers", "ESRGAN"}, true);
  }

  const LikeFiles& files_;
  const fs::path& model_;
  const SharedFlags& flags_;
  const Request& given_;
  engine::Like& like_;
  Request& r_;
};

// The place of a picture in a job means nothing with other seeding.
Request without_place(Request request) {
  request.copies = request.batch = request.iterations = std::nullopt;
  request.share = 0;
  request.share_of = 1;
  request.fixed_noise = false;
  return request;
}

// A word of the engine's or the model's options, where it is one.
void take_word(const std::string& word, const char* option, const SharedFlags& flags, std::string& value,
               const GenerateJob& job, engine::Like& like) {
  if (word.empty() || flags.given(option)) return;
  const std::string before = std::exchange(value, word);
  try {
    engine::check_model_options(
        {.prediction = job.model.prediction, .dtype = job.engine.dtype, .precision = job.engine.precision});
  } catch (const Error&) {
    value = before;
    like.untaken.push_back(fmt::format("{} {}", option + 2, excerpt(word)));
  }
}

void take_file(const std::string& name, const char* option, const std::vector<std::string>& folders,
               const LikeFiles& files, const SharedFlags& flags, std::string& value, engine::Like& like) {
  if (name.empty() || flags.given(option)) return;
  value = name == "own" ? name : files.find(name, folders, true);
  if (value.empty()) like.untaken.push_back(fmt::format("{} (give it with {} FILE)", excerpt(name), option));
}

// How the model was opened.
void take_model_options(const LikeFiles& files, const SharedFlags& flags, GenerateJob& job, engine::Like& like) {
  take_word(like.precision == "f32" ? "" : like.precision, "--precision", flags, job.engine.precision, job, like);
  take_word(like.dtype, "--dtype", flags, job.engine.dtype, job, like);
  take_word(like.prediction, "--prediction", flags, job.model.prediction, job, like);
  if (like.exact) job.engine.exact = true;
  take_file(like.vae, "--vae", {"vae", "VAE"}, files, flags, job.model.vae, like);
  take_file(like.config, "--config", {}, files, flags, job.model.config, like);
}

void tell(const std::string& file, const engine::Like& like, const fs::path& model) {
  if (!like.untaken.empty()) note(fmt::format("note: not taken from {}: {}", file, fmt::join(like.untaken, ", ")));
  const std::string present = engine::model_name(model);
  if (!like.model.empty() && engine::model_name(like.model) != present)
    note(fmt::format("note: {} was drawn with the model {}, not {}", file, excerpt(like.model), present));
}

}  // namespace

void add_like_option(CLI::App& app, SharedFlags& flags) {
  app.add_option("--like", flags.like,
                 "Settings of this picture (of sumi, A1111's web UI, ComfyUI, InvokeAI) where no option gives others; "
                 "the prompt may be left out")
      ->type_name("FILE");
}

std::vector<std::string> take_like(const std::string& file, const SharedFlags& flags, GenerateJob& job) {
  engine::Like like = engine::read_like(image::read_file({.path = file}), file);
  Request& request = job.request;
  const fs::path model = job.model.options(job.engine).path;
  drop_what_is_off(flags.pictures, like.request);
  if (request.seeding || request.copies || request.batch || request.iterations || request.prompts.size() > 1)
    like.request = without_place(like.request), like.number = 0;
  Finder(LikeFiles(file, model), model, flags, request, like)();
  engine::drop_without_picture(like.request);
  engine::fill_open(request, like.request);
  take_model_options(LikeFiles(file, model), flags, job, like);
  if (like.request.share_of > 1 || like.request.copies.value_or(1) > 1) job.only = like.number;
  if (!job.quiet) tell(file, like, model);
  return like.untaken;
}

}  // namespace sumi::app
