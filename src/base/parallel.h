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
  // `threads` includes the caller's. With `pin` and exactly one thread per core, each worker is bound to its own.
  // Throws Error(kUnavailable) if the system cannot start that many.
  explicit ThreadPool(int threads, bool pin = false);
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

// While one lives, parallel_for and num_threads of its thread use `pool` (null: the process's own). Scopes nest and end
// in reverse order.
class PoolScope {
 public:
  explicit PoolScope(ThreadPool* pool);
  ~PoolScope();
  PoolScope(const PoolScope&) = delete;
  PoolScope& operator=(const PoolScope&) = delete;

 private:
  ThreadPool* outer_;
};

// Number of threads of the calling thread's pool, the caller's included. The process's own pool has one per core that
// this process may run on, unless set_num_threads says otherwise.
int num_threads();

// Sets the number of threads of the process's own pool, 1 to 1024. Must not be called while a parallel_for runs. Throws
// Error(kUnavailable) if the system cannot start that many; the default number then applies again.
void set_num_threads(int threads);

// Whether the process's own pool binds its threads to cores: for the program, before anything is computed. Off at
// first.
void set_pinning(bool on);

// Cores this process may run on (its affinity mask).
int available_cores();

// Calls body(task) once for each task in [0, tasks), in any order, from several threads of the calling thread's pool,
// and returns when all are done. A nested call runs its tasks on the calling thread. The first exception thrown by a
// task is rethrown here.
void parallel_for(int64_t tasks, const std::function<void(int64_t)>& body);

}  // namespace sumi
