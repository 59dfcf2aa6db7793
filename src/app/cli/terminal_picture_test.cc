// Pictures for terminals, read back as a terminal would.
#include "app/cli/terminal_picture.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <map>
#include <regex>
#include <thread>

#include "base/base64.h"
#include "image/png.h"

namespace sumi::app {
namespace {

using image::Image;
using testing::HasSubstr;

Image gradient(int64_t width, int64_t height) {
  Image out(width, height);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      uint8_t* pixel = out.row(y) + 3 * x;
      pixel[0] = static_cast<uint8_t>(255 * x / std::max<int64_t>(1, width - 1));
      pixel[1] = static_cast<uint8_t>(255 * y / std::max<int64_t>(1, height - 1));
      pixel[2] = static_cast<uint8_t>(128);
    }
  }
  return out;
}

// Values that PNG cannot make small.
Image noisy(int64_t width, int64_t height) {
  Image out(width, height);
  uint32_t state = 1;
  for (uint8_t& value : out.pixels) value = static_cast<uint8_t>((state = state * 1664525u + 1013904223u) >> 24);
  return out;
}

// What a terminal draws: every pixel must be set exactly once.
Image sixels_drawn(const std::string& text) {
  std::smatch head;
  if (!std::regex_search(text, head, std::regex("^\x1bP0;1q\"1;1;(\\d+);(\\d+)"))) throw std::runtime_error("no head");
  if (!text.ends_with("\x1b\\")) throw std::runtime_error("no end");
  Image out(std::stoll(head[1]), std::stoll(head[2]));
  std::vector<int> drawn(static_cast<size_t>(out.width * out.height));
  std::map<int64_t, std::array<uint8_t, 3>> colours;
  int64_t x = 0, y = 0, colour = -1;
  const std::string body = text.substr(head.length(), text.size() - static_cast<size_t>(head.length()) - 2);
  size_t at = 0;
  const auto number = [&] {
    size_t used = 0;
    const int64_t value = std::stoll(body.substr(at), &used);
    at += used;
    return value;
  };
  while (at < body.size()) {
    const char c = body[at++];
    if (c == '$') {
      x = 0;
    } else if (c == '-') {
      x = 0;
      y += 6;
    } else if (c == '#') {
      colour = number();
      if (body[at] != ';') continue;
      std::array<int64_t, 4> values{};
      for (int64_t& value : values) {
        ++at;
        value = number();
      }
      EXPECT_EQ(values[0], 2);  // red, green and blue in percent
      for (size_t i = 0; i < 3; ++i)
        colours[colour][i] = static_cast<uint8_t>(std::lround(2.55 * double(values[i + 1])));
    } else {
      const int64_t times = c == '!' ? number() : 1;
      const int bits = (c == '!' ? body[at++] : c) - '?';
      EXPECT_GE(bits, 0);
      EXPECT_LT(bits, 64);
      for (int64_t end = x + times; x < end; ++x) {
        for (int64_t i = 0; i < 6; ++i) {
          if ((bits >> i & 1) == 0) continue;
          if (x >= out.width || y + i >= out.height) throw std::runtime_error("drawn outside");
          ++drawn[static_cast<size_t>((y + i) * out.width + x)];
          std::copy_n(colours.at(colour).begin(), 3, out.row(y + i) + 3 * x);
        }
      }
    }
  }
  EXPECT_LE(colours.size(), 256u);
  EXPECT_THAT(drawn, testing::Each(1));
  return out;
}

// Means of 8x8 pixels of one channel.
double mean_at(const Image& picture, int64_t left, int64_t top, int64_t channel) {
  double sum = 0.0;
  for (int64_t y = top; y < top + 8; ++y) {
    for (int64_t x = left; x < left + 8; ++x) sum += picture.row(y)[3 * x + channel];
  }
  return sum / 64.0;
}

TEST(TerminalPicture, SixelsAreThePicture) {
  const Image picture = gradient(61, 47), drawn = sixels_drawn(sixel_of(picture));
  ASSERT_EQ(drawn.width, 61);
  ASSERT_EQ(drawn.height, 47);
  for (int64_t y = 0; y + 8 <= 47; y += 8) {
    for (int64_t x = 0; x + 8 <= 61; x += 8) {
      for (int64_t c = 0; c < 3; ++c) EXPECT_NEAR(mean_at(drawn, x, y, c), mean_at(picture, x, y, c), 8.0) << x << y;
    }
  }
  for (const auto& colour :
       std::vector<std::array<uint8_t, 3>>{{0, 0, 0}, {255, 255, 255}, {255, 0, 0}, {51, 85, 204}}) {
    Image plain(5, 7);
    for (size_t i = 0; i < plain.pixels.size(); ++i) plain.pixels[i] = colour[i % 3];
    const std::string text = sixel_of(plain);
    EXPECT_THAT(text, HasSubstr("!5~")) << "runs are counted";
    const Image back = sixels_drawn(text);
    for (size_t i = 0; i < plain.pixels.size(); ++i) EXPECT_NEAR(back.pixels[i], plain.pixels[i], 1);
  }
  sixels_drawn(sixel_of(noisy(1, 1)));
  sixels_drawn(sixel_of(noisy(40, 13)));
}

TEST(TerminalPicture, KittyGetsThePictureInPieces) {
  const Image picture = noisy(64, 48);
  const std::string text = kitty_of(picture, 77);
  std::string payload;
  const std::regex command("\x1b_G([^;]*);([^\x1b]*)\x1b\\\\");
  std::vector<std::string> controls;
  size_t length = 0;
  for (std::sregex_iterator at(text.begin(), text.end(), command), end; at != end; ++at) {
    controls.push_back((*at)[1]);
    payload += (*at)[2];
    length += static_cast<size_t>(at->length());
    EXPECT_LE((*at)[2].length(), 4096);
    EXPECT_TRUE((*at)[2].length() % 4 == 0);
  }
  EXPECT_EQ(length, text.size()) << "nothing but commands";
  ASSERT_GE(controls.size(), 3u);
  EXPECT_EQ(controls.front(), "a=T,f=100,i=77,p=1,q=2,C=1,m=1");
  for (size_t i = 1; i + 1 < controls.size(); ++i) EXPECT_EQ(controls[i], "m=1");
  EXPECT_EQ(controls.back(), "m=0");
  const auto bytes = from_base64(payload);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(image::decode_png(*bytes).image, picture);
  EXPECT_EQ(kitty_of(Image(1, 1), 5).find("a=T,f=100,i=5,p=1,q=2,C=1,m=0"), 3u);
  EXPECT_EQ(kitty_without(77), "\x1b_Ga=d,d=I,i=77,q=2\x1b\\");
}

TEST(TerminalPicture, IsSizedForTheTerminal) {
  const TerminalSize terminal{.rows = 50, .columns = 100, .cell_width = 10, .cell_height = 20};
  const Image small = gradient(64, 48), enlarged = sized_for(terminal, small);
  ASSERT_EQ(enlarged.width, 256);
  ASSERT_EQ(enlarged.height, 192);
  for (int64_t y = 0; y < 192; ++y) {
    for (int64_t x = 0; x < 256; ++x)
      ASSERT_TRUE(std::equal(enlarged.row(y) + 3 * x, enlarged.row(y) + 3 * x + 3, small.row(y / 4) + 3 * (x / 4)));
  }
  EXPECT_EQ(sized_for(terminal, gradient(300, 200)), gradient(300, 200));
  const Image shrunk = sized_for(terminal, gradient(1024, 512));
  EXPECT_EQ(shrunk.width, 512);
  EXPECT_EQ(shrunk.height, 256);
  EXPECT_EQ(sized_for({.rows = 12, .columns = 100, .cell_width = 10, .cell_height = 20}, small).height, 192);
  EXPECT_EQ(sized_for({.rows = 11, .columns = 100, .cell_width = 10, .cell_height = 20}, small).height, 144);
  EXPECT_EQ(sized_for({.rows = 1, .columns = 1, .cell_width = 1, .cell_height = 1}, small).height, 1);
}

std::optional<TerminalPictures> by(std::map<std::string, std::string> variables) {
  return pictures_by_environment([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(TerminalPicture, KnowsTerminalsByTheEnvironment) {
  EXPECT_EQ(by({}), TerminalPictures::kNone);
  EXPECT_EQ(by({{"TERM", "dumb"}, {"KITTY_WINDOW_ID", "1"}}), TerminalPictures::kNone);
  EXPECT_EQ(by({{"TERM", "xterm-kitty"}}), TerminalPictures::kKitty);
  EXPECT_EQ(by({{"TERM", "xterm-256color"}, {"KITTY_WINDOW_ID", "1"}}), TerminalPictures::kKitty);
  EXPECT_EQ(by({{"TERM", "xterm-ghostty"}}), TerminalPictures::kKitty);
  EXPECT_EQ(by({{"TERM", "xterm-256color"}, {"TERM_PROGRAM", "ghostty"}}), TerminalPictures::kKitty);
  EXPECT_EQ(by({{"TERM", "xterm-256color"}, {"TERM_PROGRAM", "WezTerm"}}), TerminalPictures::kSixel);
  EXPECT_EQ(by({{"TERM", "xterm-256color"}, {"TERM_PROGRAM", "iTerm.app"}}), TerminalPictures::kSixel);
  EXPECT_EQ(by({{"TERM", "xterm-256color"}}), std::nullopt);
  EXPECT_EQ(by({{"TERM", "tmux-256color"}, {"KITTY_WINDOW_ID", "1"}}), std::nullopt);
  EXPECT_EQ(by({{"TERM", "xterm-kitty"}, {"TMUX", "/tmp/tmux-1000/default,1,0"}}), std::nullopt);
}

// A terminal whose other end this test holds.
class Terminal {
 public:
  Terminal() : master_(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    if (master_ < 0 || grantpt(master_) != 0 || unlockpt(master_) != 0) throw std::runtime_error("no pseudo terminal");
    slave_ = open(ptsname(master_), O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave_ < 0) throw std::runtime_error("cannot open the pseudo terminal");
  }
  ~Terminal() {
    close(slave_);
    close(master_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  int slave() const { return slave_; }
  void type(const std::string& text) const {
    if (::write(master_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
      throw std::runtime_error("cannot type");
  }
  // What was written to it, once it ends with `end`; what there is after ten seconds.
  std::string read_until(const std::string& end) const {
    std::string text;
    pollfd stream{.fd = master_, .events = POLLIN, .revents = 0};
    while (!text.ends_with(end) && poll(&stream, 1, 10'000) == 1) {
      char bytes[4096];
      const ssize_t count = ::read(master_, bytes, sizeof bytes);
      if (count <= 0) break;
      text.append(bytes, static_cast<size_t>(count));
    }
    return text;
  }
  std::array<tcflag_t, 2> modes() const {
    termios now{};
    tcgetattr(slave_, &now);
    return {now.c_lflag, now.c_iflag};
  }

 private:
  int master_, slave_ = -1;
};

TEST(TerminalPicture, AsksTheTerminalAndLeavesItsModes) {
  using std::chrono::milliseconds;
  for (const auto& [answer, sixel] : std::map<std::string, bool>{{"\x1b[?62;4c", true},
                                                                 {"\x1b[?63;1;2;4;6;9;15;22c", true},
                                                                 {"\x1b[?4c", true},
                                                                 {"\x1b[?62;c", false},
                                                                 {"\x1b[?64;14;41;22c", false},
                                                                 {"\x1b[?1;2c", false}}) {
    const Terminal terminal;
    const auto before = terminal.modes();
    std::string asked;
    std::thread person([&] {
      asked = terminal.read_until("\x1b[c");
      terminal.type(answer);
    });
    EXPECT_EQ(answers_with_sixel(terminal.slave(), terminal.slave(), milliseconds(10'000)), sixel) << answer.substr(1);
    person.join();
    EXPECT_EQ(asked, "\x1b[c");
    EXPECT_EQ(terminal.modes(), before);
  }
  const Terminal silent;
  const auto before = silent.modes();
  EXPECT_FALSE(answers_with_sixel(silent.slave(), silent.slave(), milliseconds(20)));
  EXPECT_EQ(silent.modes(), before);
}

TEST(TerminalPicture, LeavesWhatWasTypedBefore) {
  const Terminal terminal;
  terminal.type("ls\n");
  EXPECT_EQ(terminal.read_until("ls\r\n"), "ls\r\n");  // shown as it is typed
  EXPECT_FALSE(answers_with_sixel(terminal.slave(), terminal.slave(), std::chrono::milliseconds(10'000)));
  char bytes[16];
  EXPECT_EQ(::read(terminal.slave(), bytes, sizeof bytes), 3);
}

TEST(TerminalPicture, APipeIsNoTerminal) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  EXPECT_FALSE(answers_with_sixel(ends[0], ends[1], std::chrono::milliseconds(10'000)));
  close(ends[0]);
  close(ends[1]);
}

TEST(TerminalPreview, DrawsBelowTheLineAndPutsTheCursorBack) {
  const Terminal terminal;
  termios raw{};
  tcgetattr(terminal.slave(), &raw);
  cfmakeraw(&raw);  // line feeds arrive as they are
  tcsetattr(terminal.slave(), TCSANOW, &raw);
  const winsize size{.ws_row = 50, .ws_col = 100, .ws_xpixel = 1000, .ws_ypixel = 1000};
  ASSERT_EQ(ioctl(terminal.slave(), TIOCSWINSZ, &size), 0);
  std::FILE* out = fdopen(dup(terminal.slave()), "w");
  const std::string save = "\x1b\x37", restore = "\x1b\x38", room = fmt::format("\r{:\n<14}\x1b[14A", "");
  const auto written = [&](const auto& act) {
    std::string text;
    std::thread reader([&] { text = terminal.read_until("<end>"); });
    act();
    std::fputs("<end>", out);
    std::fflush(out);
    reader.join();
    return text.substr(0, text.size() - 5);
  };
  const Image picture = gradient(8, 8), other = noisy(8, 8);
  const TerminalSize cells{.rows = 50, .columns = 100, .cell_width = 10, .cell_height = 20};
  const auto id = static_cast<uint32_t>(getpid());
  {
    TerminalPreview preview(TerminalPictures::kKitty, out, {});
    EXPECT_EQ(written([&] { preview.show(picture); }),
              room + save + "\x1b[1B" + kitty_of(sized_for(cells, picture), id) + restore);
    EXPECT_EQ(written([&] { preview.show(other); }),
              room + save + "\x1b[1B" + kitty_of(sized_for(cells, other), id) + restore);
    EXPECT_EQ(written([&] { preview.clear(); }), kitty_without(id) + save + "\r\x1b[1B\x1b[J" + restore);
    EXPECT_EQ(written([&] { preview.clear(); }), "");
  }
  EXPECT_EQ(
      written([&] {
        TerminalPreview preview(TerminalPictures::kSixel, out, std::chrono::hours(1));
        preview.show(picture);
        preview.show(other);  // too soon
      }),
      room + save + "\x1b[1B" + sixel_of(sized_for(cells, picture)) + restore + save + "\r\x1b[1B\x1b[J" + restore);
  EXPECT_EQ(written([&] { TerminalPreview(TerminalPictures::kNone, out).show(picture); }), "");
  std::fclose(out);
}

}  // namespace
}  // namespace sumi::app
