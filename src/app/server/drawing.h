// Draws one submission with this process's models.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>

#include "app/server/jobs.h"
#include "app/server/library.h"
#include "app/server/shelf.h"
#include "sumi/engine.h"

namespace sumi::app {

// On the thread that draws; each may be empty.
struct DrawingCalls {
  std::function<void(std::string settings)> prepared = {};  // JSON, without this machine's folders
  std::function<void(int64_t done, int64_t steps)> step = {};
  std::function<void(const std::string& sentence)> warning = {};
  std::function<void(int64_t number, const std::string& png)> preview = {};
  std::function<void(KeptPicture picture)> picture = {};
  std::function<void(const char* stage, double seconds)> stage = {};  // "open", "prepare", "sample", "decode", "write"
};

// How a job ends by what its drawing has thrown.
struct Failure {
  JobState state = JobState::kFailed;
  std::string error = {};
  ErrorKind kind = ErrorKind::kInternal;
};
Failure failure();  // of the exception in flight; to be called where it is caught

// What decides a picture's bytes beside its request: processes of one identity draw the same.
struct Identity {
  std::string version, instructions;
};
Identity own_identity();

class Drawing {
 public:
  // Checks the submission as far as no model is needed. Throws Error(kUsage) for what is wrong with it. `shelf` and
  // `library` must outlive it.
  Drawing(Shelf& shelf, const Library& library, Submission submission);

  const Submission& submission() const { return submission_; }
  const std::string& model() const { return model_; }  // its full name
  // Once, throws as Job::run.
  void run(const DrawingCalls& calls);
  // From any thread, at any time, also before run().
  void cancel();

 private:
  void check();
  void draw(const DrawingCalls& calls);
  void upscale(const DrawingCalls& calls);

  Shelf& shelf_;
  const Library& library_;
  Submission submission_;
  std::string model_, vae_file_;
  std::filesystem::path upscaler_file_;
  std::mutex mutex_;
  Job* job_ = nullptr;  // while it runs
  std::atomic<bool> cancelled_{false};
};

}  // namespace sumi::app
