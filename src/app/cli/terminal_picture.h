// Pictures in the terminal, by sixels or by kitty's graphics protocol: how a job shows what it has so far.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "image/image.h"

namespace sumi::app {

enum class TerminalPictures : unsigned char { kNone, kSixel, kKitty };

// What the terminal of standard error shows; kNone where it is none. Known by the environment, else the terminal is
// asked, where standard input is one too: a terminal that does not answer delays the call by 0.2 s. Before threads
// start.
TerminalPictures detect_terminal_pictures();

// By the environment alone, whose variables `variable` returns (null: not set); nullopt: it does not tell, as within
// tmux and screen, whose own abilities count.
std::optional<TerminalPictures> pictures_by_environment(const std::function<const char*(const char* name)>& variable);

// Asks the terminal, open for reading as `in` and for writing as `out`, for its attributes, and waits for the answer.
// Leaves its modes as they were. False as well where something was typed before, which is left to others.
bool answers_with_sixel(int in, int out, std::chrono::milliseconds patience);

// An RGB picture as sixels of 252 colours, its differences spread over the pixels around.
std::string sixel_of(const image::Image& picture);

// An RGB picture for kitty, shown at the cursor, which stays. It replaces the picture shown before as `id` (not 0).
std::string kitty_of(const image::Image& picture, uint32_t id);
// Takes that picture away.
std::string kitty_without(uint32_t id);

// The lines of a terminal and the size of their cells in pixels.
struct TerminalSize {
  int rows = 24, columns = 80;
  int cell_width = 8, cell_height = 10;  // where the terminal does not tell: small, so that a picture takes fewer lines
};

// The picture at the size at which it is shown: whole, at most 512 pixels a side and so many lines that two are left;
// small ones with each pixel as a square, so that it comes near 256.
image::Image sized_for(const TerminalSize& size, const image::Image& picture);

// A picture below the line where the cursor is, which a Progress may draw in the meantime. Each takes the place of the
// last. Before that line ends (a Progress is destroyed, a message is printed) call clear().
class TerminalPreview {
 public:
  using Clock = std::chrono::steady_clock;
  // Draws nothing for kNone. A picture that comes sooner than `pause` after another is not shown.
  explicit TerminalPreview(TerminalPictures kind, std::FILE* out = stderr,
                           Clock::duration pause = std::chrono::milliseconds(100));
  ~TerminalPreview() { clear(); }
  TerminalPreview(const TerminalPreview&) = delete;
  TerminalPreview& operator=(const TerminalPreview&) = delete;

  void show(const image::Image& picture);
  // Takes the picture and the lines below the cursor's away.
  void clear();

 private:
  TerminalSize size() const;
  void write(std::string_view text) const;

  TerminalPictures kind_;
  std::FILE* out_;
  Clock::duration pause_;
  uint32_t id_;
  std::optional<Clock::time_point> shown_;  // unset: there is no picture
};

}  // namespace sumi::app
