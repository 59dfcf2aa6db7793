// Draws the jobs of a queue in Redis, one after the other.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "app/server/library.h"
#include "app/server/shared_queue.h"
#include "app/server/shelf.h"

namespace sumi::app {

struct WorkerOptions {
  SharedQueueOptions queue = {};
  RedisOptions redis = {};
  std::string drawn_with = {};  // what its pictures depend on beside requests, version and instruction set
  std::string name = {};        // of this worker among all; empty: the host's, the process's number and chance
};

class Worker {
 public:
  // Throws Error(kUnavailable) where Redis cannot be reached. Shelf and library must outlive it.
  Worker(const RedisAddress& address, Shelf& shelf, const Library& library, const WorkerOptions& options);
  ~Worker();
  const std::string& name() const { return name_; }
  // Draws until `stop` is set; what is being drawn then goes back to the queue, for another. A Redis that goes away is
  // waited for.
  void run(const std::atomic<bool>& stop);

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
  std::string name_;
};

}  // namespace sumi::app
