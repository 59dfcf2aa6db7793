// Tells a person how far a long job is: step, seconds a step, time left. On standard error.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

namespace sumi {

struct ProgressOptions {
  std::string label;   // "sampling", "downloading model.safetensors"
  int64_t total = 0;   // steps, or bytes; 0: not known
  int64_t before = 0;  // of these, done before a resumed job began; they do not count for its speed
  bool bytes = false;  // count bytes instead of steps
  bool quiet = false;  // draw nothing at all
  std::FILE* out = stderr;
};

// A bar that is redrawn in place on a terminal; elsewhere a plain line every ten seconds. Not for several threads.
class Progress {
 public:
  explicit Progress(ProgressOptions options);
  // Ends the bar's line, so that an error message starts on a new line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Sets how much of the total is done.
  void update(int64_t done);
  void step() { update(done_ + 1); }
  // Changes the label, from the next update on.
  void label(std::string text) { options_.label = std::move(text); }

 private:
  using Clock = std::chrono::steady_clock;
  void draw(Clock::time_point now);

  ProgressOptions options_;
  bool terminal_ = false;
  int64_t done_ = 0;
  Clock::time_point begin_;
  Clock::time_point drawn_;
  bool line_open_ = false;  // a bar without its newline is on the screen
};

// The line itself: "sampling 12/50, 3.21 s/step, 2:02 left", or for bytes "model 12.3/45.6 MB, 3.2 MB/s, 0:10 left".
std::string describe_progress(const ProgressOptions& options, int64_t done, double seconds);

// "0:07", "12:34", "1:02:03".
std::string format_duration(double seconds);

}  // namespace sumi
