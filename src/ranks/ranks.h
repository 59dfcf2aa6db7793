// The processes of one run, started by `mpirun -np N sumi …` on one machine or many.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace sumi {

class Ranks {
 public:
  // All processes of this run. The first call initialises MPI if mpirun started this process; otherwise there is one
  // rank, and the functions below do nothing. Throws Error(kUnavailable) if mpirun started a program that was built
  // without MPI.
  static Ranks& world();

  int rank() const { return rank_; }  // 0 to size()-1
  int size() const { return size_; }
  bool first() const { return rank_ == 0; }
  bool alone() const { return size_ == 1; }

  // Sums over all ranks, in place; every rank gets the same numbers. All ranks must make these calls in the same order.
  void sum(std::span<double> values) const;
  void sum(std::span<float> values) const;

  // A sum under way; `values` must stay until wait().
  class Pending {
   public:
    Pending();
    Pending(Pending&&) noexcept;
    Pending& operator=(Pending&&) noexcept;
    ~Pending();
    bool done();  // also lets MPI make progress
    void wait();

   private:
    friend class Ranks;
    struct Request;
    std::unique_ptr<Request> request_;
  };
  Pending begin_sum(std::span<float> values) const;

  // Returns once every rank has called it.
  void wait_for_all() const;

  // Every rank calls this at the end of a successful run. If a process exits without it after an error, mpirun ends the
  // others, which would otherwise wait forever.
  void finish();

  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

 private:
  Ranks();
  int rank_ = 0, size_ = 1;
  bool started_ = false;
};

}  // namespace sumi
