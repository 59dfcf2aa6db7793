// Profiles: the floating-point work of each op and, if requested, its time by shape.
//
// Work is counted as textbooks do: 2·m·n·k for a product, the same for direct convolution whatever algorithm is chosen,
// 4·T·S·d a head for attention. Norms, elementwise work and copies count as none.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/context.h"
#include "core/tensor.h"

namespace sumi {

// While one lives, it is in its thread's context and the ops are recorded in it. Profiles nest; an op is recorded in
// the innermost.
class Profile {
 public:
  enum class Detail : unsigned char { kFlops, kTimes };
  struct Line {
    std::string op, shape;  // "conv2d", "2x64x64x320 → 320, 3x3"
    int64_t calls = 0;
    double seconds = 0.0, flops = 0.0;
  };

  explicit Profile(Detail detail = Detail::kFlops)
      : detail_(detail), scope_([this](Context& context) { context.profile = this; }) {}
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  double flops() const { return flops_; }
  // The longest first; empty without Detail::kTimes.
  std::vector<Line> lines() const;

 private:
  friend class OpScope;
  Detail detail_;
  double flops_ = 0.0;
  std::map<std::pair<std::string, std::string>, Line> lines_;
  ContextScope scope_;
};

// Lives in every op from the end of its checks to the end of the op.
class OpScope {
 public:
  // An op whose work is not counted, described by the shape of x.
  OpScope(const char* op, const Tensor& x) : OpScope(op, 0.0, [&] { return x.shape().str(); }) {}
  // `shape()` is called only where times are wanted.
  template <class ShapeText>
  OpScope(const char* op, double flops, const ShapeText& shape) : profile_(Context::current().profile) {
    if (profile_ == nullptr) return;
    profile_->flops_ += flops;
    if (profile_->detail_ != Profile::Detail::kTimes) return;
    line_ = &profile_->lines_[{op, shape()}];
    line_->flops += flops;
    begin_ = Clock::now();
  }
  ~OpScope() {
    if (line_ == nullptr) return;
    line_->seconds += std::chrono::duration<double>(Clock::now() - begin_).count();
    ++line_->calls;
  }
  OpScope(const OpScope&) = delete;
  OpScope& operator=(const OpScope&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  Profile* profile_;
  Profile::Line* line_ = nullptr;
  Clock::time_point begin_;
};

}  // namespace sumi
