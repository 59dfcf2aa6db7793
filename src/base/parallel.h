// Threads that share the work of a kernel, and the one way to use them.
//
// Work is cut into tasks, and each output element belongs to one task, which sums it in one order: the same bytes come
// out with 1, 2, 3 or 64 threads, even where the number of tasks depends on the number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace sumi {

// Threads that wait for work. Several threads may ask one pool; it takes one job at a time.
class ThreadPool {
 public:
  // `threads` includes the caller's. Throws Error(kUnavailable) if the system cannot start that many.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;
  // As sumi::parallel_for, on these threads.
  void parallel_for(int64_t tasks, const std::function<void(int64_t)>& body);

 private:
  struct Workers;
  std::unique_ptr<Workers> workers_;
};

// Number of threads of the process's own pool, the caller's included. Defaults to the cores this process may run on.
int num_threads();

// Sets the number of threads, 1 to 1024. Must not be called while a parallel_for runs. Throws Error(kUnavailable) if
// the system cannot start that many; the default number then applies again.
void set_num_threads(int threads);

// Cores this process may run on (its affinity mask).
int available_cores();

// Calls body(task) once for each task in [0, tasks), in any order, from several threads of the process's own pool, and
// returns when all are done. A nested call runs its tasks on the calling thread. The first exception thrown by a task
// is rethrown here.
void parallel_for(int64_t tasks, const std::function<void(int64_t)>& body);

}  // namespace sumi
