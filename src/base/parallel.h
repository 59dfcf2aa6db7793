// The process's thread pool and the one way to use it.
//
// Work is cut into tasks by its shape, never by the number of threads, and each output element belongs to one task:
// the same bytes come out with 1, 2, 3 or 64 threads.
#pragma once

#include <cstdint>
#include <functional>

namespace sumi {

// Number of threads that parallel_for uses, the caller's included. Defaults to the cores this process may run on.
int num_threads();

// Sets the number of threads, 1 to 1024. Not while a parallel_for runs. Throws Error(kUnavailable) where the system
// does not give that many; the number is then the default's again.
void set_num_threads(int threads);

// Cores this process may run on (its affinity mask).
int available_cores();

// Calls body(task) once for each task in [0, tasks), in any order, from several threads, and returns when all are done.
// A nested call runs its tasks on the calling thread. The first exception thrown by a task is rethrown here.
void parallel_for(int64_t tasks, const std::function<void(int64_t)>& body);

// Index of the calling thread in [0, num_threads()): for per-thread scratch inside a parallel_for.
int thread_index();

}  // namespace sumi
