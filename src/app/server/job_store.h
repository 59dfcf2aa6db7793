// Jobs on disk, so that they outlive the server: one folder for each, with what was submitted, how it stands, and its
// pictures. Every file is whole or not there (atomic_file.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "app/server/jobs.h"
#include "base/folder_lock.h"

namespace sumi::app {

struct StoredJob {
  JobView view;           // "queued" and "running" jobs are to be drawn (again)
  Submission submission;  // empty for those that are over
};

// Any number of threads may use one, each job's functions by one thread at a time.
class JobStore {
 public:
  // Makes the folder and locks it. Throws Error(kUnavailable) where another server has it, or it cannot be written.
  explicit JobStore(const std::filesystem::path& folder);
  JobStore(const JobStore&) = delete;
  JobStore& operator=(const JobStore&) = delete;

  // Everything that was stored, the oldest first. What cannot be read is left where it is and named in a warning.
  std::vector<StoredJob> load() const;
  // The job is on the disk when these return. Throw Error where the disk fails.
  void save(const JobView& view, const Submission& submission);
  void save(const JobView& view);  // its state, what is known of its pictures
  // How often it was begun, without being over.
  void add_beginning(const std::string& id) noexcept;
  int beginnings(const std::string& id) const noexcept;
  void save_picture(const std::string& id, int64_t number, const std::string& png);
  std::shared_ptr<const std::string> picture(const std::string& id, int64_t number) const;  // null: there is none
  void remove(const std::string& id) noexcept;
  void remove_picture(const std::string& id, int64_t number) noexcept;

 private:
  std::filesystem::path folder_of(const std::string& id) const;

  std::filesystem::path folder_;
  const FolderLock lock_;
};

}  // namespace sumi::app
