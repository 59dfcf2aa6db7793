#include "base/parallel.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"

namespace sumi {
namespace {

thread_local bool t_inside = false;
thread_local ThreadPool* t_pool = nullptr;  // of the innermost PoolScope

// Tells the core that this is a waiting loop.
inline void pause_core() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Binds the calling thread to the `index`-th core that the process may run on.
void bind_to_core(int index) {
  cpu_set_t allowed, mine;
  if (sched_getaffinity(getpid(), sizeof allowed, &allowed) != 0) return;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &allowed) || index-- > 0) continue;
    CPU_ZERO(&mine);
    CPU_SET(core, &mine);
    sched_setaffinity(0, sizeof mine, &mine);
    return;
  }
}

}  // namespace

// A job is an atomic counter that all threads draw tasks from. Between jobs, workers first spin for some 100 µs, since
// networks run hundreds of small jobs in a row and waking a sleeping thread costs up to 50 µs; then they sleep on a
// condition variable. With more threads than cores they sleep at once.
//
// Pinned workers are each bound to a core: otherwise a woken thread starts on the core of the thread that woke it and
// stays there for milliseconds (measured: products of 10 ms ran at half speed). The caller's thread is not bound.
struct ThreadPool::Workers {
  Workers(int threads, bool pin)
      : threads_(threads),
        pin_(pin && threads == available_cores()),
        spins_(threads <= available_cores() ? kSpins : 0) {
    workers_.reserve(static_cast<size_t>(threads - 1));
    try {
      for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
    } catch (const std::exception&) {  // the system has no more threads, or no memory for one
      const size_t started = workers_.size() + 1;
      stop();  // the destructor will not run, and the started threads would wait forever
      fail(ErrorKind::kUnavailable, "only {} of {} threads could be started; use fewer `threads`", started, threads);
    }
  }

  ~Workers() { stop(); }

  int threads() const { return threads_; }

  void run(int64_t tasks, const std::function<void(int64_t)>& body) {
    std::lock_guard one_job(job_mutex_);
    {
      std::lock_guard lock(mutex_);
      body_ = &body;
      tasks_ = tasks;
      next_.store(0, std::memory_order_relaxed);
      active_.store(threads_ - 1, std::memory_order_relaxed);
      error_ = nullptr;
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    drain();
    spin_until([this] { return active_.load(std::memory_order_acquire) == 0; });
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return active_.load(std::memory_order_relaxed) == 0; });
    body_ = nullptr;
    if (error_) std::rethrow_exception(error_);
  }

 private:
  static constexpr int kSpins = 4000;  // of 20 to 40 ns

  void stop() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
  }

  template <class Condition> void spin_until(const Condition& condition) const {
    for (int i = 0; i < spins_ && !condition(); ++i) pause_core();
  }

  void drain() {
    t_inside = true;
    try {
      for (int64_t task; (task = next_.fetch_add(1, std::memory_order_relaxed)) < tasks_;) (*body_)(task);
    } catch (...) {
      next_.store(tasks_, std::memory_order_relaxed);
      std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
    t_inside = false;
  }

  void work(int index) {
    if (pin_) bind_to_core(index);
    uint64_t seen = 0;
    for (;;) {
      spin_until([&] { return generation_.load(std::memory_order_acquire) != seen; });
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return stopping_ || generation_.load(std::memory_order_relaxed) != seen; });
        if (stopping_) return;
        seen = generation_.load(std::memory_order_relaxed);
      }
      drain();
      std::lock_guard lock(mutex_);
      if (active_.fetch_sub(1, std::memory_order_acq_rel) == 1) done_.notify_one();
    }
  }

  const int threads_;
  const bool pin_;
  const int spins_;
  std::vector<std::thread> workers_;
  std::mutex job_mutex_;  // one job at a time; callers from several threads queue here
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const std::function<void(int64_t)>* body_ = nullptr;
  int64_t tasks_ = 0;
  std::atomic<int64_t> next_{0};
  std::atomic<int> active_{0};
  std::atomic<uint64_t> generation_{0};
  bool stopping_ = false;
  std::exception_ptr error_;
};

ThreadPool::ThreadPool(int threads, bool pin) : workers_(std::make_unique<Workers>(threads, pin)) {}
ThreadPool::~ThreadPool() = default;

int ThreadPool::threads() const { return workers_->threads(); }

void ThreadPool::parallel_for(int64_t tasks, const std::function<void(int64_t)>& body) {
  if (tasks <= 0) return;
  if (tasks == 1 || t_inside || threads() == 1) {
    for (int64_t task = 0; task < tasks; ++task) body(task);
    return;
  }
  workers_->run(tasks, body);
}

namespace {

std::mutex g_pool_mutex;
std::unique_ptr<ThreadPool> g_pool;
bool g_pinning = false;

ThreadPool& pool() {
  if (t_pool != nullptr) return *t_pool;
  std::lock_guard lock(g_pool_mutex);
  if (!g_pool) g_pool = std::make_unique<ThreadPool>(available_cores(), g_pinning);
  return *g_pool;
}

}  // namespace

int available_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return std::max(1u, std::thread::hardware_concurrency());
  return std::max(1, CPU_COUNT(&set));
}

int num_threads() { return pool().threads(); }

void set_num_threads(int threads) {
  SUMI_CHECK_KIND(kUsage, threads >= 1 && threads <= 1024, "`threads` must be from 1 to 1024, not {}", threads);
  std::lock_guard lock(g_pool_mutex);
  if (g_pool && g_pool->threads() == threads) return;
  g_pool.reset();  // stays empty if the new pool cannot be made; the next call that needs one tries again
  g_pool = std::make_unique<ThreadPool>(threads, g_pinning);
}

void set_pinning(bool on) {
  std::lock_guard lock(g_pool_mutex);
  g_pinning = on;
}

PoolScope::PoolScope(ThreadPool* pool) : outer_(std::exchange(t_pool, pool)) {}
PoolScope::~PoolScope() { t_pool = outer_; }

void parallel_for(int64_t tasks, const std::function<void(int64_t)>& body) {
  if (tasks <= 0) return;
  if (tasks == 1 || t_inside) {  // needs neither the pool's lock nor a pool
    for (int64_t task = 0; task < tasks; ++task) body(task);
    return;
  }
  pool().parallel_for(tasks, body);
}

}  // namespace sumi
