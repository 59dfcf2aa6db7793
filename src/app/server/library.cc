#include "app/server/library.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string_view>
#include <system_error>

#include "app/server/http_text.h"
#include "base/check.h"
#include "base/nearest.h"
#include "base/text_util.h"
#include "engine/resolve.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostFiles = 10'000;  // of a kind
constexpr size_t kMostTold = 20;       // names in a sentence
constexpr size_t kMostLooked = 200;    // letters of a name that others are compared with

// Where a kind of file is, and how it is called.
struct Place {
  const char* kind;
  std::vector<std::string_view> folders;  // in lower case
  std::vector<std::string_view> endings;
  bool by_folder = false;  // a diffusers folder counts as one
};

const Place& place_of(FileKind kind) {
  static const std::array<Place, 5> places{{
      {"LoRA", {"loras", "lora"}, {".safetensors", ".pt", ".ckpt"}},
      {"embedding", {"embeddings"}, {".safetensors", ".pt", ".bin"}},
      {"autoencoder", {"vae"}, {".safetensors", ".pt", ".ckpt"}, true},
      {"upscaler", {"upscalers", "esrgan", "realesrgan"}, {".pth", ".safetensors", ".pt"}},
      {"ControlNet", {"controlnet", "controlnets"}, {".safetensors", ".pth", ".pt", ".ckpt"}, true},
  }};
  return places.at(static_cast<size_t>(kind));
}

// What can be named in a request, and stays one name there.
bool is_plain(std::string_view name) {
  return !name.empty() && name.front() != '.' && name.find_first_of("/\\") == std::string_view::npos &&
         name.find("..") == std::string_view::npos && strip_control(name) == name;
}

int64_t bytes_of_folder(const fs::path& folder) {
  std::error_code error;
  int64_t sum = 0;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    std::error_code ignored;
    if (entries->is_regular_file(ignored)) sum += static_cast<int64_t>(entries->file_size(ignored));
  }
  return sum;
}

class Listing {
 public:
  explicit Listing(const Place& place) : place_(place) {}

  // Those of the place in `folder`.
  void add(const fs::path& folder) {
    for (const fs::directory_entry& entry : sorted(folder)) {
      const std::string name = lower_case(entry.path().filename().string());
      if (std::find(place_.folders.begin(), place_.folders.end(), name) != place_.folders.end()) take(entry.path(), 2);
    }
  }
  std::vector<LibraryEntry> take_all() && { return std::move(found_); }

 private:
  static std::vector<fs::directory_entry> sorted(const fs::path& folder) {
    std::vector<fs::directory_entry> out;
    std::error_code error;
    fs::directory_iterator entries(folder, error);
    for (; !error && entries != fs::directory_iterator() && out.size() < kMostFiles; entries.increment(error))
      out.push_back(*entries);
    std::sort(out.begin(), out.end());
    return out;
  }

  void take(const fs::path& folder, int levels) {
    for (const fs::directory_entry& entry : sorted(folder)) {
      if (found_.size() >= kMostFiles) return;
      const fs::path& path = entry.path();
      if (!is_plain(path.filename().string())) continue;
      std::error_code error;
      if (entry.is_directory(error)) {
        if (place_.by_folder && fs::exists(path / "config.json", error)) {
          found_.push_back({path.filename().string(), path, bytes_of_folder(path)});
        } else if (levels > 1) {
          take(path, levels - 1);
        }
      } else if (entry.is_regular_file(error) && has_ending(path)) {
        found_.push_back({path.stem().string(), path, static_cast<int64_t>(entry.file_size(error))});
      }
    }
  }

  bool has_ending(const fs::path& path) const {
    return std::find(place_.endings.begin(), place_.endings.end(), lower_case(path.extension().string())) !=
           place_.endings.end();
  }

  const Place& place_;
  std::vector<LibraryEntry> found_;
};

// By its name, or by its file's.
const LibraryEntry* find_in(const std::vector<LibraryEntry>& entries, const std::string& name) {
  for (const LibraryEntry& entry : entries) {
    if (entry.name == name || entry.path.filename().string() == name) return &entry;
  }
  return nullptr;
}

std::string known_names(const std::vector<LibraryEntry>& entries, const std::string& name) {
  std::vector<std::string> names;
  for (const LibraryEntry& entry : entries) names.push_back(entry.name);
  const std::string nearest = nearest_of(name.substr(0, kMostLooked), names);
  if (!nearest.empty()) return fmt::format("did you mean \"{}\"?", nearest);
  const size_t more = names.size() > kMostTold ? names.size() - kMostTold : 0;
  names.resize(names.size() - more);
  return fmt::format("choose one of {}{}", fmt::join(names, ", "),
                     more == 0 ? "" : fmt::format(" and {} others", more));
}

[[noreturn]] void fail_to_find(FileKind kind, const std::vector<LibraryEntry>& entries, const std::string& name) {
  SUMI_CHECK_KIND(kUsage, is_plain(name),
                  "the {} \"{}\" is not a name: files are named without folders, as this server lists them",
                  name_of(kind), excerpt(name));
  SUMI_CHECK_KIND(kUsage, !entries.empty(),
                  "there is no {} \"{}\" here, nor any other; the server looks in the folder {}/ beside its models and "
                  "in its data folder",
                  name_of(kind), excerpt(name), place_of(kind).folders[0]);
  fail(ErrorKind::kUsage, "there is no {} \"{}\" here; {}", name_of(kind), excerpt(name), known_names(entries, name));
}

void check_picture(std::string_view field, const std::string& text) {
  SUMI_CHECK_KIND(kUsage, text.empty() || text.starts_with("data:"),
                  "{} must be given whole, as \"data:image/png;base64,…\": a server opens no file and fetches nothing",
                  field);
}

void check_no_folder(const char* field, const std::string& value) {
  SUMI_CHECK_KIND(kUsage, value.empty(), "`{}` names a folder or file, which a server does not open for others", field);
}

// The listing of each kind that a request names, made once.
class Names {
 public:
  explicit Names(const Library& library) : library_(library) {}
  void replace(FileKind kind, std::string& name) {
    auto [at, fresh] = lists_.try_emplace(kind);
    if (fresh) at->second = library_.list(kind);
    const LibraryEntry* entry = find_in(at->second, name);
    if (entry == nullptr) fail_to_find(kind, at->second, name);
    name = entry->path.string();
  }

 private:
  const Library& library_;
  std::map<FileKind, std::vector<LibraryEntry>> lists_;
};

}  // namespace

const char* name_of(FileKind kind) { return place_of(kind).kind; }

Library::Library(std::vector<fs::path> folders) {
  for (fs::path& folder : folders) {
    if (!folder.empty() && std::find(folders_.begin(), folders_.end(), folder) == folders_.end())
      folders_.push_back(std::move(folder));
  }
}

std::vector<LibraryEntry> Library::list(FileKind kind) const {
  Listing listing(place_of(kind));
  for (const fs::path& folder : folders_) listing.add(folder);
  std::vector<LibraryEntry> entries = std::move(listing).take_all();
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  const auto same = [](const LibraryEntry& a, const LibraryEntry& b) { return a.name == b.name; };
  entries.erase(std::unique(entries.begin(), entries.end(), same), entries.end());
  return entries;
}

std::optional<LibraryEntry> Library::find(FileKind kind, const std::string& name) const {
  const std::vector<LibraryEntry> entries = list(kind);
  const LibraryEntry* entry = find_in(entries, name);
  return entry == nullptr ? std::nullopt : std::optional(*entry);
}

fs::path Library::file_of(FileKind kind, const std::string& name) const {
  const std::vector<LibraryEntry> entries = list(kind);
  const LibraryEntry* entry = find_in(entries, name);
  if (entry == nullptr) fail_to_find(kind, entries, name);
  return entry->path;
}

Request Library::with_files(Request request) const {
  check_picture("`init`", request.init);
  check_picture("`mask`", request.mask);
  for (const Control& control : request.controls) check_picture("a control's `image`", control.image);
  check_no_folder("lora_folder", request.lora_folder);
  check_no_folder("embedding_folder", request.embedding_folder);
  check_no_folder("safety_checker", request.safety_checker);
  Names names(*this);
  for (Lora& lora : request.loras) names.replace(FileKind::kLora, lora.file);
  for (std::string& embedding : request.embeddings) names.replace(FileKind::kEmbedding, embedding);
  for (Control& control : request.controls) names.replace(FileKind::kControl, control.model);
  if (request.hires && request.hires->upscaler && !engine::is_upscaler_name(*request.hires->upscaler))
    names.replace(FileKind::kUpscaler, *request.hires->upscaler);
  return request;
}

}  // namespace sumi::app
