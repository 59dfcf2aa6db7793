#include "app/pull.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "app/places.h"
#include "base/check.h"
#include "base/small_file.h"
#include "base/text_util.h"
#include "text/clip_tokenizer.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPublicHub = "https://huggingface.co";
constexpr const char* kTokenizerRepository = "openai/clip-vit-large-patch14";
constexpr size_t kMaxListing = 4 << 20;  // 14,000 files

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// A token or endpoint pasted with a line break would inject text into a header.
void check_printable(std::string_view text, const char* what) {
  const bool good = text.find(' ') == std::string_view::npos && strip_control(text) == text;
  SUMI_CHECK_KIND(kUsage, good, "the {} contains spaces or control characters", what);
}

std::string find_endpoint(const PullOptions& options) {
  std::string endpoint = options.endpoint.empty() ? environment("HF_ENDPOINT") : options.endpoint;
  if (endpoint.empty()) endpoint = kPublicHub;
  check_printable(endpoint, "endpoint");
  while (endpoint.ends_with('/')) endpoint.pop_back();
  SUMI_CHECK_KIND(kUsage, endpoint.starts_with("https://") || endpoint.starts_with("http://"),
                  "the endpoint {} must begin with https:// or http://", excerpt(endpoint));
  return endpoint;
}

std::string escape_path(std::string_view path) {
  std::string result;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (begin > 0) result += '/';
    result += url_escape(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return result;
}

// One repository at one revision on one hub.
class Hub {
 public:
  Hub(std::string repository, const PullOptions& options)
      : repository_(std::move(repository)), revision_(options.revision), endpoint_(find_endpoint(options)) {
    check_repository_name(repository_);
    const bool good = !revision_.empty() && revision_.size() <= 200 && revision_.find("..") == std::string::npos;
    SUMI_CHECK_KIND(kUsage, good && strip_control(revision_) == revision_, "\"{}\" is not a revision",
                    excerpt(revision_));
    file_options_ = {.token = options.token.empty() ? environment("HF_TOKEN") : options.token,
                     .quiet = options.quiet,
                     .retries = options.retries,
                     .backoff = options.backoff,
                     .cancelled = options.cancelled};
    check_printable(file_options_.token, "access token");
  }

  const std::string& repository() const { return repository_; }
  const std::string& endpoint() const { return endpoint_; }

  // The repository's files. With `optional`, a hub without a list gives an empty one.
  std::vector<HubFile> list(bool optional = false) const {
    const std::string url =
        fmt::format("{}/api/models/{}/revision/{}?blobs=true", endpoint_, repository_, url_escape(revision_));
    std::string body;
    const auto take = [&](const HttpResponse&, std::string_view piece) {
      SUMI_CHECK(body.size() + piece.size() <= kMaxListing, "{}: the list of files is too long", url);
      body += piece;
    };
    const FetchRequest request{.url = url, .token = file_options_.token, .cancelled = file_options_.cancelled};
    const HttpResponse response = get_with_retries(request, file_options_, take, [&](FetchRequest&) { body.clear(); });
    if (optional && response.status == 404) return {};
    if (!response.ok()) fail_for(url, response);
    return parse_listing(repository_, body);
  }

  // Those of `files` that `folder` does not have.
  std::vector<HubFile> missing(const std::vector<HubFile>& files, const fs::path& folder) const {
    std::vector<HubFile> out;
    for (const HubFile& file : files) {
      if (!is_complete(folder / file.name, file, file_options_.cancelled)) out.push_back(file);
    }
    return out;
  }

  // Fetches those of `files` that are missing in `folder`, which `shown` names to the user.
  void fetch(const std::vector<HubFile>& files, const fs::path& folder, const fs::path& shown) const {
    const std::vector<HubFile> wanted = missing(files, folder);
    const int64_t bytes = bytes_of(wanted);
    check_space(folder, bytes);
    if (!file_options_.quiet) {
      fmt::print(stderr, "{}: {} of {} files to fetch ({:.1f} MB) to {}\n", repository_, wanted.size(), files.size(),
                 static_cast<double>(bytes) / 1e6, shown.string());
    }
    std::error_code error;
    const bool was_there = fs::exists(folder, error);
    for (const HubFile& file : wanted) {
      const std::string url =
          fmt::format("{}/{}/resolve/{}/{}", endpoint_, repository_, url_escape(revision_), escape_path(file.name));
      try {
        pull_file(url, file, folder / file.name, file_options_);
      } catch (const Error&) {  // leaves no empty folders
        if (!was_there && fs::remove((folder / file.name).parent_path(), error)) fs::remove(folder, error);
        throw;
      }
    }
  }

 private:
  // Sizes are the hub's word: their sum is checked.
  int64_t bytes_of(const std::vector<HubFile>& files) const {
    int64_t bytes = 0;
    for (const HubFile& file : files) {
      const int64_t size = file.size.value_or(0);
      SUMI_CHECK(size <= std::numeric_limits<int64_t>::max() - bytes,
                 "the hub lists files of more than {:.1f} GB in {}, which cannot be; nothing was fetched",
                 static_cast<double>(std::numeric_limits<int64_t>::max()) / 1e9, repository_);
      bytes += size;
    }
    return bytes;
  }

  // Refuses a download that does not fit, before the first byte. Partial files of an earlier try are ignored, which is
  // safe.
  static void check_space(const fs::path& folder, int64_t bytes) {
    std::error_code error;
    fs::path existing = fs::absolute(folder, error);
    while (!existing.empty() && !fs::exists(existing, error) && existing != existing.parent_path()) {
      existing = existing.parent_path();
    }
    const fs::space_info space = fs::space(existing, error);
    SUMI_CHECK_KIND(kCannotCreate, error || static_cast<uintmax_t>(bytes) <= space.available,
                    "{}: {:.1f} GB are free, {:.1f} GB are needed; name another folder with --out", existing.string(),
                    static_cast<double>(space.available) / 1e9, static_cast<double>(bytes) / 1e9);
  }

  std::string repository_;
  std::string revision_;
  std::string endpoint_;
  PullFileOptions file_options_;
};

// The folder where the tokenizer's files wait until both are known to be good. It keeps its name, so that the next try
// goes on with what an interrupted one has fetched.
class Waiting {
 public:
  explicit Waiting(const fs::path& folder) : folder_(folder), path_(folder / ".sumi-pull") {
    std::error_code error;
    was_there_ = fs::exists(folder_, error);
  }
  const fs::path& path() const { return path_; }
  void remove(bool failed) const {
    std::error_code error;
    fs::remove_all(path_, error);
    if (failed && !was_there_) fs::remove(folder_, error);
  }

 private:
  fs::path folder_, path_;
  bool was_there_ = false;
};

// Where the file lies: waiting if it was just fetched.
fs::path place_of(const std::string& name, const fs::path& waiting, const fs::path& folder) {
  std::error_code error;
  return fs::exists(waiting / name, error) ? waiting / name : folder / name;
}

// Throws unless the two files are a tokenizer.
void check_tokenizer(const fs::path& waiting, const fs::path& folder, const std::string& source) {
  constexpr int64_t kMost = 16 << 20;
  const auto read = [&](const char* name) { return read_small_file(place_of(name, waiting, folder), kMost); };
  text::ClipTokenizer::parse({.vocabulary = read("vocab.json"),
                              .merges = read("merges.txt"),
                              .vocabulary_source = source + "'s vocab.json, which was not kept",
                              .merges_source = source + "'s merges.txt, which was not kept"});
}

fs::path pull_tokenizer(const PullOptions& options) {
  const Hub hub(kTokenizerRepository, options);
  fs::path folder = options.out.empty() ? data_folder() / "tokenizer" : options.out;
  std::vector<HubFile> files;
  for (const HubFile& file : hub.list(/*optional=*/true)) {
    if (file.name == "vocab.json" || file.name == "merges.txt") files.push_back(file);
  }
  // A plain mirror has no list: its files are requested by name and checked only by reading them.
  if (files.empty()) files = {{.name = "vocab.json"}, {.name = "merges.txt"}};
  const Waiting waiting(folder);
  try {
    hub.fetch(hub.missing(files, folder), waiting.path(), folder);
    check_tokenizer(waiting.path(), folder, hub.endpoint());
  } catch (const Error& error) {
    const bool goes_on = error.kind() == ErrorKind::kUnavailable || error.kind() == ErrorKind::kCancelled;
    if (!goes_on) waiting.remove(/*failed=*/true);
    throw;
  }
  for (const HubFile& file : files) {
    std::error_code error;
    if (!fs::exists(waiting.path() / file.name, error)) continue;
    fs::rename(waiting.path() / file.name, folder / file.name, error);
    SUMI_CHECK_KIND(kCannotCreate, !error, "{}: cannot be put in place: {}", (folder / file.name).string(),
                    error.message());
  }
  waiting.remove(/*failed=*/false);
  return folder;
}

fs::path pull_model(const PullOptions& options) {
  const Hub hub(options.what, options);
  std::string name = options.what;
  name.replace(name.find('/'), 1, "--");
  fs::path folder = options.out.empty() ? data_folder() / "models" / name : options.out;
  const std::vector<HubFile> files = choose_files(hub.repository(), hub.list(), options.fp16);
  hub.fetch(files, folder, folder);
  // The path for --ckpt: the folder of a diffusers model, or the checkpoint if there is one.
  std::vector<fs::path> checkpoints;
  for (const HubFile& file : files) {
    if (file.name == "model_index.json") return folder;
    if (file.name.ends_with(".safetensors") || file.name.ends_with(".ckpt")) checkpoints.push_back(folder / file.name);
  }
  return checkpoints.size() == 1 ? checkpoints[0] : folder;
}

}  // namespace

fs::path pull(const PullOptions& options) {
  return options.what == "tokenizer" ? pull_tokenizer(options) : pull_model(options);
}

}  // namespace sumi::app
