#include "app/cli/terminal_picture.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "app/cli/process.h"
#include "base/base64.h"
#include "base/check.h"
#include "image/png.h"
#include "image/resize.h"

namespace sumi::app {
namespace {

using image::Image;

constexpr auto kPatience = std::chrono::milliseconds(200);
constexpr int64_t kSmall = 256, kLarge = 512;                                      // pixels
constexpr std::string_view kSaveCursor = "\x1b\x37", kRestoreCursor = "\x1b\x38";  // escape, then 7 and 8
constexpr size_t kChunk = 4096;  // the most that kitty takes in one command

void check_rgb(const Image& picture) {
  SUMI_CHECK_KIND(kInternal, picture.channels == 3 && picture.width > 0 && picture.height > 0,
                  "a picture of {}x{} with {} channels for the terminal", picture.width, picture.height,
                  picture.channels);
}

// Whether a text begins with one of these.
bool begins(std::string_view text, std::initializer_list<std::string_view> beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(), [&](auto beginning) { return text.starts_with(beginning); });
}

// While one lives, the terminal hands on every byte at once and does not show it.
class RawMode {
 public:
  explicit RawMode(int terminal) : terminal_(terminal), changed_(tcgetattr(terminal, &before_) == 0) {
    if (!changed_) return;
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    changed_ = tcsetattr(terminal, TCSANOW, &raw) == 0;
  }
  ~RawMode() {
    if (changed_) tcsetattr(terminal_, TCSANOW, &before_);
  }
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;
  bool entered() const { return changed_; }

 private:
  int terminal_;
  termios before_{};
  bool changed_;
};

bool is_readable(int in, std::chrono::milliseconds patience) {
  pollfd stream{.fd = in, .events = POLLIN, .revents = 0};
  return poll(&stream, 1, static_cast<int>(patience.count())) == 1 && (stream.revents & POLLIN) != 0;
}

// Whether the attributes "62;4;22" have the number 4.
bool has_sixel(std::string_view attributes) {
  while (!attributes.empty()) {
    const size_t end = std::min(attributes.find(';'), attributes.size());
    if (attributes.substr(0, end) == "4") return true;
    attributes.remove_prefix(std::min(end + 1, attributes.size()));
  }
  return false;
}

// Six levels of red and blue, seven of green.
struct Palette {
  static constexpr std::array<int, 3> kLevels{6, 7, 6};
  static constexpr int kColours = 6 * 7 * 6;

  static int nearest(int value, size_t channel) {
    const int steps = kLevels[channel] - 1;
    return (std::clamp(value, 0, 255) * steps + 127) / 255;
  }
  static int value(int level, size_t channel) { return level * 255 / (kLevels[channel] - 1); }
  static int index(const std::array<int, 3>& levels) { return (levels[0] * 7 + levels[1]) * 6 + levels[2]; }
  // "#41;2;0;100;100": the definition of a colour, in percent.
  static std::string define(int index) {
    const std::array<int, 3> levels{index / 42, index / 6 % 7, index % 6};
    std::array<int, 3> percent{};
    for (size_t c = 0; c < 3; ++c) percent[c] = (levels[c] * 100 + (kLevels[c] - 1) / 2) / (kLevels[c] - 1);
    return fmt::format("#{};2;{};{};{}", index, percent[0], percent[1], percent[2]);
  }
};

// Each pixel's colour, with error diffusion.                                             (Floyd and Steinberg 1976)
std::vector<int> quantised(const Image& picture) {
  const auto width = static_cast<size_t>(picture.width);
  std::vector<int> out;
  // In sixteenths, of this row and the next, with a column at each side.
  std::vector<std::array<int, 3>> here(width + 2), below(width + 2);
  for (int64_t y = 0; y < picture.height; ++y) {
    for (size_t x = 0; x < width; ++x) {
      std::array<int, 3> levels{};
      for (size_t c = 0; c < 3; ++c) {
        const int wanted = picture.row(y)[3 * x + c] + here[x + 1][c] / 16;
        levels[c] = Palette::nearest(wanted, c);
        const int error = wanted - Palette::value(levels[c], c);
        here[x + 2][c] += 7 * error;
        below[x][c] += 3 * error;
        below[x + 1][c] += 5 * error;
        below[x + 2][c] += error;
      }
      out.push_back(Palette::index(levels));
    }
    here.swap(below);
    std::fill(below.begin(), below.end(), std::array<int, 3>{});
  }
  return out;
}

// Sixels of one colour, runs of four and more counted, without the empty ones at the end.
void append_row(std::string& out, std::string_view sixels) {
  sixels = sixels.substr(0, sixels.find_last_not_of('?') + 1);
  for (size_t at = 0; at < sixels.size();) {
    const size_t end = std::min(sixels.find_first_not_of(sixels[at], at), sixels.size()), count = end - at;
    out += count < 4 ? std::string(sixels.substr(at, count)) : fmt::format("!{}{}", count, sixels[at]);
    at = end;
  }
}

// Six rows, one colour after the other.
void append_band(std::string& out, const std::vector<int>& colours, int64_t width, int64_t first, int64_t rows) {
  std::array<std::string, Palette::kColours> lines;
  for (int64_t y = 0; y < rows; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      std::string& line = lines[static_cast<size_t>(colours[static_cast<size_t>((first + y) * width + x)])];
      if (line.empty()) line.assign(static_cast<size_t>(width), '?');
      line[static_cast<size_t>(x)] = static_cast<char>(line[static_cast<size_t>(x)] + (1 << y));
    }
  }
  bool more = false;
  for (size_t colour = 0; colour < lines.size(); ++colour) {
    if (lines[colour].empty()) continue;
    out += fmt::format("{}#{}", more ? "$" : "", colour);
    append_row(out, lines[colour]);
    more = true;
  }
  out += '-';
}

// Each pixel as a square.
Image enlarged(const Image& picture, int64_t times) {
  return image::resize(picture, picture.width * times, picture.height * times, image::Filter::kNearest);
}

}  // namespace

std::optional<TerminalPictures> pictures_by_environment(const std::function<const char*(const char* name)>& variable) {
  const auto value = [&](const char* name) {
    const char* text = variable(name);
    return std::string_view(text == nullptr ? "" : text);
  };
  const std::string_view term = value("TERM"), program = value("TERM_PROGRAM");
  if (term.empty() || term == "dumb") return TerminalPictures::kNone;
  if (begins(term, {"screen", "tmux"}) || !value("TMUX").empty() || !value("STY").empty()) return std::nullopt;
  if (term == "xterm-kitty" || term == "xterm-ghostty" || program == "ghostty" || !value("KITTY_WINDOW_ID").empty())
    return TerminalPictures::kKitty;
  // WezTerm knows kitty's protocol too, but answers each picture even where it is told not to.
  if (program == "WezTerm" || program == "iTerm.app") return TerminalPictures::kSixel;
  return std::nullopt;
}

bool answers_with_sixel(int in, int out, std::chrono::milliseconds patience) {
  const SignalsWait signals;  // until the modes are restored
  const RawMode raw(in);
  if (!raw.entered() || is_readable(in, {})) return false;
  constexpr std::string_view kQuestion = "\x1b[c", kAnswer = "\x1b[?";
  if (::write(out, kQuestion.data(), kQuestion.size()) != static_cast<ssize_t>(kQuestion.size())) return false;
  const auto end = std::chrono::steady_clock::now() + patience;
  std::string answer;
  while (answer.size() < 256) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (left.count() <= 0 || !is_readable(in, left)) return false;
    char next = 0;
    if (::read(in, &next, 1) != 1) return false;
    answer += next;
    const size_t begin = answer.find(kAnswer);
    if (next == 'c' && begin != std::string::npos)
      return has_sixel(std::string_view(answer).substr(begin + kAnswer.size(), answer.size() - begin - 4));
  }
  return false;
}

TerminalPictures detect_terminal_pictures() {
  if (isatty(STDERR_FILENO) != 1) return TerminalPictures::kNone;
  const auto known = pictures_by_environment([](const char* name) { return std::getenv(name); });
  if (known) return *known;
  // A process in the background that changes the terminal's modes is stopped.
  const bool foreground = isatty(STDIN_FILENO) == 1 && tcgetpgrp(STDIN_FILENO) == getpgrp();
  return foreground && answers_with_sixel(STDIN_FILENO, STDERR_FILENO, kPatience) ? TerminalPictures::kSixel
                                                                                  : TerminalPictures::kNone;
}

std::string sixel_of(const Image& picture) {
  check_rgb(picture);
  const std::vector<int> colours = quantised(picture);
  std::array<bool, Palette::kColours> used{};
  for (const int colour : colours) used[static_cast<size_t>(colour)] = true;
  std::string out = fmt::format("\x1bP0;1q\"1;1;{};{}", picture.width, picture.height);
  for (int colour = 0; colour < Palette::kColours; ++colour) {
    if (used[static_cast<size_t>(colour)]) out += Palette::define(colour);
  }
  for (int64_t y = 0; y < picture.height; y += 6)
    append_band(out, colours, picture.width, y, std::min<int64_t>(6, picture.height - y));
  out.pop_back();  // no band follows the last
  return out + "\x1b\\";
}

std::string kitty_of(const Image& picture, uint32_t id) {
  check_rgb(picture);
  const std::string payload = base64_of(image::encode_png(picture));
  // a=T: transmit and show; f=100: PNG; q=2: no answers; C=1: the cursor stays.
  std::string out, control = fmt::format("a=T,f=100,i={},p=1,q=2,C=1,", id);
  for (size_t at = 0; at < payload.size(); at += kChunk) {
    const bool more = at + kChunk < payload.size();
    out += fmt::format("\x1b_G{}m={};{}\x1b\\", control, more ? 1 : 0, payload.substr(at, kChunk));
    control.clear();
  }
  return out;
}

std::string kitty_without(uint32_t id) { return fmt::format("\x1b_Ga=d,d=I,i={},q=2\x1b\\", id); }

Image sized_for(const TerminalSize& size, const Image& picture) {
  check_rgb(picture);
  const int64_t width = std::clamp<int64_t>(int64_t{size.columns} * size.cell_width, 1, kLarge),
                height = std::clamp<int64_t>(int64_t{size.rows - 2} * size.cell_height, 1, kLarge);
  const int64_t longer = std::max(picture.width, picture.height);
  const int64_t times = std::min({kSmall / longer, width / picture.width, height / picture.height});
  if (times > 1) return enlarged(picture, times);
  if (picture.width <= width && picture.height <= height) return picture;
  const double scale = std::min(static_cast<double>(width) / static_cast<double>(picture.width),
                                static_cast<double>(height) / static_cast<double>(picture.height));
  const auto scaled = [&](int64_t side) {
    return std::max<int64_t>(1, static_cast<int64_t>(scale * static_cast<double>(side)));
  };
  return image::resize(picture, scaled(picture.width), scaled(picture.height), image::Filter::kBicubic);
}

TerminalPreview::TerminalPreview(TerminalPictures kind, std::FILE* out, Clock::duration pause)
    : kind_(kind), out_(out), pause_(pause), id_(static_cast<uint32_t>(getpid())) {}

TerminalSize TerminalPreview::size() const {
  TerminalSize out;
  winsize found{};
  if (ioctl(fileno(out_), TIOCGWINSZ, &found) != 0 || found.ws_row == 0 || found.ws_col == 0) return out;
  out.rows = found.ws_row;
  out.columns = found.ws_col;
  if (found.ws_xpixel / found.ws_col > 0 && found.ws_ypixel / found.ws_row > 0) {
    out.cell_width = found.ws_xpixel / found.ws_col;
    out.cell_height = found.ws_ypixel / found.ws_row;
  }
  return out;
}

void TerminalPreview::write(std::string_view text) const {
  std::fwrite(text.data(), 1, text.size(), out_);
  std::fflush(out_);
}

void TerminalPreview::show(const Image& picture) {
  const Clock::time_point now = Clock::now();
  if (kind_ == TerminalPictures::kNone || (shown_ && now - *shown_ < pause_)) return;
  const TerminalSize terminal = size();
  const Image sized = sized_for(terminal, picture);
  // Line feeds make room below where there is none, at the screen's end; the picture is drawn a line below, and the
  // cursor put back. One line more than the picture takes, for terminals that go to the next one after it.
  const auto rows = static_cast<int>((sized.height + terminal.cell_height - 1) / terminal.cell_height) + 1;
  const std::string room = std::string(static_cast<size_t>(rows), '\n') + fmt::format("\x1b[{}A", rows);
  const std::string drawn = kind_ == TerminalPictures::kSixel ? sixel_of(sized) : kitty_of(sized, id_);
  write(fmt::format("\r{}{}\x1b[1B{}{}", room, kSaveCursor, drawn, kRestoreCursor));
  shown_ = now;
}

void TerminalPreview::clear() {
  if (!shown_) return;
  shown_.reset();
  const std::string gone = kind_ == TerminalPictures::kKitty ? kitty_without(id_) : std::string();
  write(fmt::format("{}{}\r\x1b[1B\x1b[J{}", gone, kSaveCursor, kRestoreCursor));
}

}  // namespace sumi::app
