#include "app/pull_file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/hex.h"
#include "base/parse_number.h"
#include "base/progress.h"
#include "base/small_file.h"
#include "base/text_util.h"

namespace sumi::app {
namespace {

namespace fs = std::filesystem;

// Limit for files of unknown size: these are configurations; a model's size is always known.
constexpr int64_t kMaxUnsaidBytes = 64 << 20;

std::optional<int64_t> parse_size(std::string_view text) {
  const auto value = number_in<int64_t>(text);
  return value && *value >= 0 ? value : std::nullopt;
}

// The two kinds of checksum that a hub gives: SHA-256 of the bytes, or git's SHA-1 of "blob SIZE\0" and the bytes.
std::string file_sum(const fs::path& path, bool git_blob, const std::function<bool()>& cancelled) {
  const std::unique_ptr<std::FILE, decltype(&std::fclose)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  SUMI_CHECK_KIND(kIo, file, "{}: cannot be read: {}", path.string(), std::strerror(errno));
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  bool good = context && EVP_DigestInit_ex(context.get(), git_blob ? EVP_sha1() : EVP_sha256(), nullptr) == 1;
  if (git_blob) {
    const std::string head = fmt::format("blob {}", fs::file_size(path));
    good = good && EVP_DigestUpdate(context.get(), head.c_str(), head.size() + 1) == 1;
  }
  std::vector<char> buffer(1 << 20);
  while (good) {
    SUMI_CHECK_KIND(kCancelled, !(cancelled && cancelled()),
                    "interrupted while checking {}; run the same command again", path.string());
    const size_t count = std::fread(buffer.data(), 1, buffer.size(), file.get());
    if (count == 0) break;
    good = EVP_DigestUpdate(context.get(), buffer.data(), count) == 1;
  }
  SUMI_CHECK_KIND(kIo, !std::ferror(file.get()), "{}: cannot be read: {}", path.string(), std::strerror(errno));
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  good = good && EVP_DigestFinal_ex(context.get(), digest, &size) == 1;
  SUMI_CHECK_KIND(kUnavailable, good, "this OpenSSL does not provide {}", git_blob ? "SHA-1" : "SHA-256");
  return hex_of({digest, size});
}

bool sum_matches(const fs::path& path, const HubFile& file, const std::function<bool()>& cancelled) {
  if (!file.sha256.empty()) return file_sum(path, false, cancelled) == file.sha256;
  if (!file.git_blob.empty()) return file_sum(path, true, cancelled) == file.git_blob;
  return true;
}

// NAME.part, open, and locked against other programs that fetch the same file.
class PartFile {
 public:
  explicit PartFile(const fs::path& target) : path_(target.string() + ".part") {
    descriptor_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    SUMI_CHECK_KIND(kCannotCreate, descriptor_ >= 0, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
    struct stat status {};
    if (fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
      close(descriptor_);
      fail(ErrorKind::kCannotCreate, "{}: is a pipe or a device; remove it", path_.string());
    }
    if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0 || !still_named()) {
      close(descriptor_);
      fail(ErrorKind::kCannotCreate, "{}: another program is fetching this file; wait until it ends", path_.string());
    }
    const off_t end = lseek(descriptor_, 0, SEEK_END);
    size_ = end > 0 ? end : 0;
  }
  ~PartFile() { close(descriptor_); }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  const fs::path& path() const { return path_; }
  int64_t size() const { return size_; }

  void clear() {
    SUMI_CHECK_KIND(kIo, ftruncate(descriptor_, 0) == 0, "{}: cannot be truncated: {}", path_.string(),
                    std::strerror(errno));
    lseek(descriptor_, 0, SEEK_SET);
    size_ = 0;
  }

  void append(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = write(descriptor_, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      SUMI_CHECK_KIND(kIo, count > 0, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
      size_ += count;
      bytes.remove_prefix(static_cast<size_t>(count));
    }
  }

  void remove() { unlink(path_.c_str()); }

  // Renames it to `target`, durably: the bytes are on the disk before the new name.
  void commit(const fs::path& target) {
    SUMI_CHECK_KIND(kIo, fsync(descriptor_) == 0, "{}: cannot be written: {}", path_.string(), std::strerror(errno));
    SUMI_CHECK_KIND(kCannotCreate, std::rename(path_.c_str(), target.c_str()) == 0, "{}: cannot be replaced: {}",
                    target.string(), std::strerror(errno));
    const int folder = open(target.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
      fsync(folder);  // where this fails, a crash loses only the new name
      close(folder);
    }
  }

 private:
  // False if the lock became free because the other program has just renamed the file.
  bool still_named() const {
    struct stat named, opened;
    return stat(path_.c_str(), &named) == 0 && fstat(descriptor_, &opened) == 0 && named.st_ino == opened.st_ino;
  }

  fs::path path_;
  int descriptor_ = -1;
  int64_t size_ = 0;
};

// A log-in page, or a server's own words, with the status of success. What nobody has a sum of is looked at.
bool is_another_thing(const fs::path& path, const HubFile& file) {
  if (!file.sha256.empty() || !file.git_blob.empty()) return false;
  std::error_code error;
  const uintmax_t size = fs::file_size(path, error);
  const bool json = file.name.ends_with(".json"), text = json || file.name.ends_with(".txt");
  if (error || (!text && size > (1 << 20))) return false;
  const std::string content = read_small_file(path, kMaxUnsaidBytes);
  std::string begin = content.substr(0, 512);
  begin.erase(0, begin.find_first_not_of(" \t\r\n\xEF\xBB\xBF"));
  for (char& c : begin) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c;
  if (begin.starts_with("<!doctype") || begin.starts_with("<html")) return true;
  return json && !nlohmann::json::accept(content);
}

// First byte of "bytes 100-199/200"; nullopt for any other text.
std::optional<int64_t> range_begin(std::string_view header) {
  if (!header.starts_with("bytes ")) return std::nullopt;
  header.remove_prefix(6);
  return parse_size(header.substr(0, header.find('-')));
}

// One download; size and checksum may become known with the answers.
class Download {
 public:
  Download(const std::string& url, const HubFile& file, const fs::path& path, const PullFileOptions& options)
      : url_(url), file_(file), path_(path), options_(options), part_(path) {}

  void run() {
    const bool resumed = part_.size() > 0;
    transfer();
    if (sum_matches(part_.path(), file_, options_.cancelled)) return commit();
    part_.clear();
    if (resumed) {  // the partial file may be of another version: try once more from the start
      transfer();
      if (sum_matches(part_.path(), file_, options_.cancelled)) return commit();
    }
    part_.remove();
    fail(ErrorKind::kData, "{}: the download from {} does not have the hub's checksum and was removed; try again",
         path_.filename().string(), url_);
  }

 private:
  void commit() {
    if (is_another_thing(part_.path(), file_)) {
      part_.remove();
      fail(ErrorKind::kData, "{}: {} sent something else, such as a web page; it was removed; is the endpoint a hub?",
           path_.filename().string(), url_);
    }
    part_.commit(path_);
  }

  void transfer() {
    // Without a known size a partial file may already be complete: start over.
    if (!file_.size || part_.size() > *file_.size) part_.clear();
    if (file_.size && part_.size() == *file_.size && *file_.size > 0) return;
    FetchRequest request{
        .url = url_, .token = options_.token, .stall_seconds = options_.stall_seconds, .cancelled = options_.cancelled};
    const auto before_try = [&](FetchRequest& next) {
      next.begin = part_.size();
      answer_seen_ = false;
    };
    const HttpResponse response = get_with_retries(
        request, options_, [&](const HttpResponse& head, std::string_view piece) { take(head, piece); }, before_try);
    if (response.status == 416 && part_.size() > 0) {  // no bytes from there on: the partial file is too long
      part_.clear();
      return transfer();
    }
    if (!response.ok()) fail_for(url_, response);
    learn(response);
    SUMI_CHECK(!file_.size || part_.size() == *file_.size, "{}: received {} bytes from {}, not the {} announced",
               path_.filename().string(), part_.size(), url_, *file_.size);
  }

  void take(const HttpResponse& head, std::string_view piece) {
    if (!std::exchange(answer_seen_, true)) begin_answer(head);
    const int64_t limit = file_.size.value_or(kMaxUnsaidBytes);
    if (static_cast<int64_t>(piece.size()) > limit - part_.size()) {
      part_.remove();
      fail(ErrorKind::kData, "{}: received more than the {} bytes {} from {}; the download was removed",
           path_.filename().string(), limit, file_.size ? "announced" : "allowed for a file of unknown size", url_);
    }
    part_.append(piece);
    if (progress_) progress_->update(part_.size() - begin_);
  }

  // The start of an answer: it continues the partial file, or starts over.
  void begin_answer(const HttpResponse& head) {
    if (head.status == 200) {
      part_.clear();
    } else {
      const auto range = head.headers.find("content-range");
      const auto begin = range == head.headers.end() ? std::nullopt : range_begin(range->second);
      if (begin != part_.size()) {
        part_.clear();
        fail(ErrorKind::kData, "{}: {} sent another range than requested; run the same command again to start over",
             path_.filename().string(), url_);
      }
    }
    learn(head);
    begin_ = part_.size();
    progress_.reset();
    progress_.emplace(ProgressOptions{
        .label = file_.name, .total = file_.size.value_or(begin_) - begin_, .bytes = true, .quiet = options_.quiet});
  }

  // Size and checksum from the answer's headers, if the list of files has none.
  void learn(const HttpResponse& head) {
    if (!file_.size) file_.size = parse_size(head.linked_size);
    const auto length = head.headers.find("content-length");
    if (!file_.size && head.status == 200 && length != head.headers.end()) file_.size = parse_size(length->second);
    std::string sum = head.linked_etag;
    sum.erase(std::remove(sum.begin(), sum.end(), '"'), sum.end());
    const bool hex = sum.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (file_.sha256.empty() && file_.git_blob.empty() && hex) {
      if (sum.size() == 64) file_.sha256 = sum;
      if (sum.size() == 40) file_.git_blob = sum;
    }
  }

  std::string url_;
  HubFile file_;
  fs::path path_;
  const PullFileOptions& options_;
  PartFile part_;
  bool answer_seen_ = false;
  int64_t begin_ = 0;
  std::optional<Progress> progress_;
};

// Doubles before each further retry; the first is number 0.
void wait_before_retry(int retry, const PullFileOptions& options) {
  const auto until = std::chrono::steady_clock::now() + options.backoff * (1 << std::min(retry, 10));
  while (std::chrono::steady_clock::now() < until) {
    SUMI_CHECK_KIND(kCancelled, !(options.cancelled && options.cancelled()),
                    "interrupted; run the same command again to resume");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace

bool is_complete(const fs::path& path, const HubFile& file, const std::function<bool()>& cancelled) {
  if (!file.size && file.sha256.empty() && file.git_blob.empty()) return false;
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return false;
  const auto size = static_cast<int64_t>(fs::file_size(path, error));
  return !error && (!file.size || size == *file.size) && sum_matches(path, file, cancelled);
}

HttpResponse get_with_retries(FetchRequest request, const PullFileOptions& options, const HttpSink& sink,
                              const std::function<void(FetchRequest&)>& before_try) {
  for (int attempt = 0;; ++attempt) {
    if (before_try) before_try(request);
    HttpResponse response = http_get(request, sink);
    if (!response.passing_trouble() || attempt >= options.retries) return response;
    if (!options.quiet) {
      fmt::print(stderr, "{}: {}; retry {} of {}\n", excerpt(request.url), excerpt(response.describe()), attempt + 1,
                 options.retries);
    }
    wait_before_retry(attempt, options);
  }
}

void fail_for(const std::string& url, const HttpResponse& response) {
  const std::string what = strip_control(response.describe());
  if (!response.error.empty() || response.passing_trouble()) {
    fail(ErrorKind::kUnavailable,
         "{}: {}. Check the connection and run the same command again to resume; or name a "
         "mirror with --endpoint or HF_ENDPOINT; or copy the files into place by hand",
         url, what);
  }
  const char* advice =
      response.status == 401 || response.status == 403
          ? "access is restricted: accept the model's licence on its page and set HF_TOKEN to your access token"
      : response.status == 404 ? "no such repository, revision or file; if access to it is restricted, set HF_TOKEN"
                               : "the server refused the request";
  fail(ErrorKind::kNoInput, "{}: {}; {}", url, what, advice);
}

void pull_file(const std::string& url, const HubFile& file, const fs::path& path, const PullFileOptions& options) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  SUMI_CHECK_KIND(kCannotCreate, !error, "{}: cannot be created: {}", path.parent_path().string(), error.message());
  SUMI_CHECK_KIND(kCannotCreate, !fs::is_directory(path, error), "{}: is a folder", path.string());
  Download(url, file, path, options).run();
}

}  // namespace sumi::app
