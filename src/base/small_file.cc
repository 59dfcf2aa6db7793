#include "base/small_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace sumi {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

const char* kind_of(mode_t mode) {
  return S_ISDIR(mode) ? "a folder" : S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
}

}  // namespace

std::string read_small_file(const std::filesystem::path& path, int64_t limit) {
  const std::string name = path.string();
  // O_NONBLOCK: opening a pipe without a writer must not wait; it means nothing for files.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  const int why = errno;
  SUMI_CHECK_KIND(kNoInput, file.number() >= 0 || why != ENOENT, "{}: no such file", name);
  SUMI_CHECK_KIND(kNoInput, file.number() >= 0 || why != ENXIO, "{}: is a socket, not a regular file", name);
  SUMI_CHECK_KIND(kNoInput, file.number() >= 0, "{}: cannot be read: {}", name, std::strerror(why));
  struct stat status {};
  SUMI_CHECK_KIND(kNoInput, ::fstat(file.number(), &status) == 0, "{}: cannot be read: {}", name, std::strerror(errno));
  SUMI_CHECK_KIND(kNoInput, S_ISREG(status.st_mode), "{}: is {}, not a regular file", name, kind_of(status.st_mode));
  SUMI_CHECK(status.st_size <= limit, "{}: {} bytes; a file of this kind has at most {}", name, int64_t{status.st_size},
             limit);
  std::string text(static_cast<size_t>(status.st_size), '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = ::read(file.number(), text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    SUMI_CHECK_KIND(kNoInput, count >= 0, "{}: cannot be read: {}", name, std::strerror(errno));
    SUMI_CHECK_KIND(kNoInput, count > 0, "{}: was cut short while it was read", name);
    done += static_cast<size_t>(count);
  }
  return text;
}

}  // namespace sumi
