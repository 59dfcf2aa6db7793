#include "ranks/ranks.h"

#ifdef SUMI_HAVE_MPI
#include <mpi.h>
#endif

#include <cstdlib>

#include "base/check.h"

namespace sumi {
namespace {

// The number of processes, as set by the launchers of OpenMPI and MPICH.
bool launched_by_mpi() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && std::atoi(value) > 1) return true;
  }
  return false;
}

}  // namespace

Ranks& Ranks::world() {
  static Ranks ranks;
  return ranks;
}

#ifdef SUMI_HAVE_MPI

struct Ranks::Pending::Request {
  MPI_Request handle = MPI_REQUEST_NULL;
};

Ranks::Ranks() {
  if (!launched_by_mpi()) return;
  int provided = 0;
  SUMI_CHECK_KIND(kUnavailable, MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided) == MPI_SUCCESS,
                  "MPI could not be initialised");
  started_ = true;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
}

void Ranks::sum(std::span<double> values) const {
  if (alone()) return;
  MPI_Allreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()), MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
}

void Ranks::sum(std::span<float> values) const { begin_sum(values).wait(); }

Ranks::Pending Ranks::begin_sum(std::span<float> values) const {
  Pending pending;
  if (alone()) return pending;
  pending.request_ = std::make_unique<Pending::Request>();
  MPI_Iallreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD,
                 &pending.request_->handle);
  return pending;
}

bool Ranks::Pending::done() {
  if (!request_) return true;
  int flag = 0;
  MPI_Test(&request_->handle, &flag, MPI_STATUS_IGNORE);
  if (flag != 0) request_.reset();
  return flag != 0;
}

void Ranks::Pending::wait() {
  if (!request_) return;
  MPI_Wait(&request_->handle, MPI_STATUS_IGNORE);  // NOLINT(clang-analyzer-optin.mpi.MPI-Checker): begun in begin_sum
  request_.reset();
}

void Ranks::wait_for_all() const {
  if (!alone()) MPI_Barrier(MPI_COMM_WORLD);
}

void Ranks::finish() {
  if (!started_) return;
  started_ = false;
  rank_ = 0;
  size_ = 1;
  MPI_Finalize();
}

#else

struct Ranks::Pending::Request {};

Ranks::Ranks() {
  SUMI_CHECK_KIND(kUnavailable, !launched_by_mpi(),
                  "this program was built without MPI; install libopenmpi-dev and build it again");
}
void Ranks::sum(std::span<double>) const {}
void Ranks::sum(std::span<float>) const {}
Ranks::Pending Ranks::begin_sum(std::span<float>) const { return {}; }
bool Ranks::Pending::done() { return true; }
void Ranks::Pending::wait() {}
void Ranks::wait_for_all() const {}
void Ranks::finish() {}

#endif

Ranks::Pending::Pending() = default;
Ranks::Pending::Pending(Pending&&) noexcept = default;
Ranks::Pending& Ranks::Pending::operator=(Pending&&) noexcept = default;
Ranks::Pending::~Pending() { wait(); }

}  // namespace sumi
