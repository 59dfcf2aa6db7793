#include "base/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/log.h"

namespace sumi {

FolderLock::FolderLock(const std::filesystem::path& folder, const std::string& who, const std::string& taken)
    : descriptor_(open((folder / ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0666)) {
  SUMI_CHECK_KIND(kCannotCreate, descriptor_ >= 0, "{}: cannot be written to: {}", folder.string(),
                  std::strerror(errno));
  if (flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  const int why = errno;
  if (why == EWOULDBLOCK) {
    close(descriptor_);
    fail(ErrorKind::kUnavailable, "{}", taken);
  }
  // Some network file systems have no locks.
  warn("{}: cannot be locked ({}); make sure that no other {} uses it", folder.string(), std::strerror(why), who);
}

FolderLock::~FolderLock() { close(descriptor_); }

}  // namespace sumi
