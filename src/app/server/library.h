// The files beside models that requests from elsewhere may use, by name: LoRAs, embeddings, autoencoders, upscaling
// models and ControlNets.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sumi/request.h"

namespace sumi::app {

enum class FileKind : unsigned char { kLora, kEmbedding, kVae, kUpscaler, kControl };
const char* name_of(FileKind kind);  // "LoRA", "embedding", …

struct LibraryEntry {
  std::string name;  // the file's, without folder and ending; of a diffusers folder its own
  std::filesystem::path path;
  int64_t bytes = 0;
};

// Looks into the folders each time: what is put there while a server runs is found. Any number of threads may use one.
class Library {
 public:
  // `folders`: models' folders and sumi's data folder. Of each, the subfolders of a kind are searched (`loras` and
  // `Lora`; `embeddings`; `vae` and `VAE`; `upscalers`, `ESRGAN` and `RealESRGAN`; `controlnet`, `controlnets` and
  // `ControlNet`; those in another case too), two levels deep. Folders that are not there count as empty; links
  // are followed, wherever they lead.
  explicit Library(std::vector<std::filesystem::path> folders = {});

  std::vector<LibraryEntry> list(FileKind kind) const;  // by name; of two with one name the first found
  // The one of that name, or whose file has it ("paint", "paint.safetensors"): looked up in the listing, so that no
  // name reaches the file system.
  std::optional<LibraryEntry> find(FileKind kind, const std::string& name) const;
  // The same; throws Error(kUsage) with the names that there are, or the nearest; also for a name with a folder in it.
  std::filesystem::path file_of(FileKind kind, const std::string& name) const;

  // The request with this machine's files in place of names: `loras`, `embeddings`, the models of `controls`, the
  // upscaler of `hires`. Throws Error(kUsage) for pictures that are not given whole (data URIs), for names of folders
  // and for other files: nothing outside the library is opened, nothing is fetched.
  Request with_files(Request request) const;

 private:
  std::vector<std::filesystem::path> folders_;
};

}  // namespace sumi::app
