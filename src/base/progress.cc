#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

namespace sumi {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(100);  // often enough to look alive
constexpr auto kPlainLine = std::chrono::seconds(10);     // rare enough for a log
constexpr int kBarWidth = 24;

std::string bar(int64_t done, int64_t total) {
  const int filled = static_cast<int>(kBarWidth * std::min(done, total) / total);
  return fmt::format("[{:=<{}}{:{}}]", "", filled, "", kBarWidth - filled);
}

}  // namespace

std::string format_duration(double seconds) {
  const auto whole = static_cast<int64_t>(std::clamp(std::round(seconds), 0.0, 3.6e8));
  const int64_t hours = whole / 3600;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string describe_progress(const ProgressOptions& options, int64_t done, double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(done - options.before) / seconds : 0.0;  // per second
  std::string out = options.label + " ";
  if (options.bytes) {
    const double mega = 1e6;
    out += options.total > 0 ? fmt::format("{:.1f}/{:.1f} MB", static_cast<double>(done) / mega,
                                           static_cast<double>(options.total) / mega)
                             : fmt::format("{:.1f} MB", static_cast<double>(done) / mega);
    if (rate > 0) out += fmt::format(", {:.1f} MB/s", rate / mega);
  } else {
    out += options.total > 0 ? fmt::format("{}/{}", done, options.total) : fmt::format("{}", done);
    if (rate > 0) out += fmt::format(", {:.2f} s/step", 1.0 / rate);
  }
  if (rate > 0 && done < options.total) {
    out += fmt::format(", {} left", format_duration(static_cast<double>(options.total - done) / rate));
  } else if (done > 0 && done >= options.total) {
    out += fmt::format(", took {}", format_duration(seconds));
  }
  return out;
}

Progress::Progress(ProgressOptions options) : options_(std::move(options)), begin_(Clock::now()), drawn_(begin_) {
  terminal_ = !options_.quiet && isatty(fileno(options_.out)) == 1;
  if (terminal_) draw(begin_);
}

Progress::~Progress() {
  if (line_open_) std::fputc('\n', options_.out);
}

void Progress::update(int64_t done) {
  done_ = done;
  if (options_.quiet) return;
  const Clock::time_point now = Clock::now();
  const bool last = options_.total > 0 && done >= options_.total;
  if (terminal_ ? (last || now - drawn_ >= kRedraw) : now - drawn_ >= kPlainLine) draw(now);
}

void Progress::draw(Clock::time_point now) {
  drawn_ = now;
  const std::string text = describe_progress(options_, done_, std::chrono::duration<double>(now - begin_).count());
  if (!terminal_) {
    fmt::print(options_.out, "{}\n", text);
  } else {
    const std::string front = options_.total > 0 ? bar(done_, options_.total) + " " : "";
    fmt::print(options_.out, "\r{}{}\x1b[K", front, text);
    line_open_ = true;
  }
  std::fflush(options_.out);
}

}  // namespace sumi
