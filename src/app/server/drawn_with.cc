#include "app/server/drawn_with.h"

#include <algorithm>
#include <fstream>
#include <span>
#include <vector>

#include "base/fnv1a.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;

// Training changes all weights, so a part of them tells.
constexpr int kSamples = 16;
constexpr uint64_t kSampleBytes = 64 << 10;

std::string read_print(const fs::path& file, uint64_t size) {
  Fnv1a hash;
  std::ifstream stream(file, std::ios::binary);
  std::vector<char> bytes(kSampleBytes);
  for (uint64_t i = 0; i < kSamples; ++i) {
    stream.clear();
    stream.seekg(static_cast<std::streamoff>(size > kSampleBytes ? (size - kSampleBytes) / (kSamples - 1) * i : 0));
    stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    hash.add(std::as_bytes(std::span(bytes).first(static_cast<size_t>(stream.gcount()))));
    if (size <= kSampleBytes) break;
  }
  return fmt::format("{} {}\n", size, hash.hex());
}

}  // namespace

std::string FilePrints::of_file(const fs::path& file) {
  std::error_code error;
  const uint64_t size = fs::file_size(file, error);
  if (error) return {};
  const auto written = fs::last_write_time(file, error);
  Known& known = known_[file.string()];
  if (known.print.empty() || known.written != written || known.size != size)
    known = {.written = written, .size = size, .print = read_print(file, size)};
  return known.print;
}

// Of a file, or of all in a folder.
std::string FilePrints::of_all_in(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return of_file(path);
  std::vector<fs::path> files;
  for (fs::recursive_directory_iterator at(path, error), end; !error && at != end; at.increment(error)) {
    if (at->is_regular_file(error)) files.push_back(at->path());
  }
  std::sort(files.begin(), files.end());
  std::string all;
  for (const fs::path& file : files) all += fs::relative(file, path, error).string() + " " + of_file(file);
  return all;
}

std::string FilePrints::of(const Shelf& shelf, const Library& library, const std::string& model) {
  std::string all;
  for (const ShelfEntry& entry : shelf.list()) {
    if (entry.name == model) all += of_all_in(entry.path);
  }
  for (const FileKind kind :
       {FileKind::kLora, FileKind::kEmbedding, FileKind::kVae, FileKind::kUpscaler, FileKind::kControl}) {
    for (const LibraryEntry& entry : library.list(kind))
      all += fmt::format("{} {} ", name_of(kind), entry.name) + of_all_in(entry.path);
  }
  return all;
}

}  // namespace sumi::app
