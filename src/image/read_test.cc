#include "image/read.h"

#include <gtest/gtest.h>
#include <webp/encode.h>

#include "base/check.h"
#include "image/jpeg.h"
#include "image/png.h"
#include "image/resize.h"
#include "tests/support/made_jpeg.h"
#include "tests/support/made_png.h"
#include "tests/support/temp_folder.h"

namespace sumi::image {
namespace {

// A quadrant each of red, green, blue and white.
Image quadrants(int64_t width, int64_t height) {
  Image out(width, height);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const bool right = x >= width / 2, low = y >= height / 2;
      uint8_t* p = out.row(y) + 3 * x;
      p[0] = right == low ? 250 : 5;
      p[1] = right ? 250 : 5;
      p[2] = low ? 250 : 5;
    }
  }
  return out;
}

std::string as_jpeg(const Image& image, int orientation = 0) {
  const auto choose = [](jpeg_compress_struct& jpeg) {
    jpeg_set_quality(&jpeg, 95, TRUE);
    jpeg.comp_info[0].h_samp_factor = jpeg.comp_info[0].v_samp_factor = 1;  // colours at full resolution
  };
  const auto begun = [&](jpeg_compress_struct& jpeg) {
    if (orientation == 0) return;
    const unsigned char exif[] = {
        'E', 'x', 'i', 'f', 0,    0, 'M', 'M', 0, 42, 0, 0, 0,
        8,   0,   1,   1,   0x12, 0, 3,   0,   0, 0,  1, 0, static_cast<unsigned char>(orientation),
        0,   0,   0,   0,   0,    0};
    jpeg_write_marker(&jpeg, JPEG_APP0 + 1, exif, sizeof(exif));
  };
  return test::made_jpeg({.width = image.width,
                          .height = image.height,
                          .row = [&](int64_t y) { return image.row(y); },
                          .choose = choose,
                          .begun = begun});
}

std::string as_webp(const Image& image) {
  uint8_t* out = nullptr;
  const size_t size = WebPEncodeLosslessRGB(image.pixels.data(), static_cast<int>(image.width),
                                            static_cast<int>(image.height), static_cast<int>(3 * image.width), &out);
  std::string bytes(reinterpret_cast<char*>(out), size);
  WebPFree(out);
  return bytes;
}

int largest_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.width, b.width);
  EXPECT_EQ(a.height, b.height);
  int largest = 0;
  for (size_t i = 0; i < std::min(a.pixels.size(), b.pixels.size()); ++i)
    largest = std::max(largest, std::abs(int{a.pixels[i]} - int{b.pixels[i]}));
  return largest;
}

class ReadPicture : public testing::Test {
 protected:
  Image read(const std::string& bytes) {
    test::write_file(folder_ / "picture", bytes);
    return read_picture({folder_ / "picture"});
  }
  test::TempFolder folder_;
};

TEST_F(ReadPicture, ToldByItsFirstBytes) {
  const Image picture = quadrants(32, 48);
  EXPECT_LE(largest_difference(read(as_jpeg(picture)), picture), 12);
  EXPECT_EQ(read(as_webp(picture)), picture);
  const std::vector<std::byte> png = encode_png(picture);
  EXPECT_EQ(read(std::string(reinterpret_cast<const char*>(png.data()), png.size())), picture);
}

TEST_F(ReadPicture, BrokenOnesAreRefusedInOneSentence) {
  const std::string jpeg = as_jpeg(quadrants(32, 32)), webp = as_webp(quadrants(32, 32));
  for (const std::string& bytes :
       {std::string(), std::string("text"), jpeg.substr(0, 2), jpeg.substr(0, 100), jpeg.substr(0, jpeg.size() - 40),
        webp.substr(0, 12), webp.substr(0, webp.size() - 8)}) {
    try {
      read(bytes);
      ADD_FAILURE() << bytes.size() << " bytes were read";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
  EXPECT_THROW(read_picture({folder_ / "nothing"}), Error);
  EXPECT_THROW(read_picture({folder_.path()}), Error);
}

TEST_F(ReadPicture, JpegsAreTurnedAsTheirCameraSays) {
  const Image picture = quadrants(32, 48);
  const auto corner = [](const Image& image, bool right, bool low) {
    const uint8_t* p = image.row(low ? image.height - 4 : 4) + 3 * (right ? image.width - 4 : 4);
    return std::array<bool, 3>{p[0] > 128, p[1] > 128, p[2] > 128};
  };
  // What the top left corner of the picture as looked at is in the file, by orientation.
  const std::pair<bool, bool> top_left[] = {{false, false}, {true, false}, {true, true}, {false, true},
                                            {false, false}, {false, true}, {true, true}, {true, false}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Image turned = read(as_jpeg(picture, orientation));
    EXPECT_EQ(turned.width, orientation >= 5 ? 48 : 32) << orientation;
    const auto [right, low] = top_left[orientation - 1];
    EXPECT_EQ(corner(turned, false, false), corner(picture, right, low)) << orientation;
  }
}

TEST(Resize, KeepsWhatIsFlatAndTheSizeAskedFor) {
  Image gray(37, 23);
  std::fill(gray.pixels.begin(), gray.pixels.end(), 77);
  for (const Filter filter : {Filter::kBicubic, Filter::kLanczos}) {
    for (const auto& [w, h] : {std::pair<int64_t, int64_t>{5, 9}, {37, 23}, {100, 61}, {1, 1}}) {
      const Image out = resize(gray, w, h, filter);
      EXPECT_EQ(out.width, w);
      EXPECT_EQ(out.height, h);
      for (const uint8_t value : out.pixels) ASSERT_EQ(value, 77);
    }
  }
}

TEST(Resize, HalvesWithTheWeightsOfTheFilter) {
  // A row of one bright pixel: bicubic, halved, reaches four pixels of the input to each side.
  Image row(16, 1, 1);
  row.pixels[8] = 200;
  const Image half = resize(row, 8, 1);
  // Weights of the input at distance 0.25, 0.75, 1.25 and 1.75 (in output pixels), from the cubic itself, summing to 1.
  const auto cubic = [](double x) {
    return x < 1 ? 1.5 * x * x * x - 2.5 * x * x + 1 : -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2;
  };
  const double sum = 2 * (cubic(0.25) + cubic(0.75) + cubic(1.25) + cubic(1.75));
  EXPECT_EQ(half.pixels[4], static_cast<int>(std::floor(200 * cubic(0.25) / sum + 0.5)));
  EXPECT_EQ(half.pixels[3], static_cast<int>(std::floor(200 * cubic(0.75) / sum + 0.5)));
  EXPECT_EQ(half.pixels[0], 0);
}

TEST(Resize, CoversAndCutsOutTheMiddle) {
  const Image picture = quadrants(64, 32);
  const Image square = resize_to_cover(picture, 16, 16);
  EXPECT_EQ(square.width, 16);
  EXPECT_EQ(square.height, 16);
  EXPECT_EQ(mirrored(mirrored(picture)), picture);
  EXPECT_EQ(crop(picture, 0, 0, 64, 32), picture);
  EXPECT_EQ(mirrored(picture).row(0)[0], picture.row(0)[3 * 63]);
}

// A red point on a see-through ground whose hidden colour is green: over white, or over the colour asked for.
TEST(PictureFiles, SeeThroughPixelsLieOnWhite) {
  const test::TempFolder folder;
  const auto read = [&](const std::string& bytes, const Colour& under = kWhite) {
    test::write_file(folder / "a.png", bytes);
    return read_picture({folder / "a.png"}, {}, under);
  };
  const std::string red("\xFF\0\0\xFF", 4), hidden("\0\xFF\0\0", 4), half("\0\0\0\x80", 4);
  const std::string rgba = test::made_png({.width = 3, .pixels = red + hidden + half});
  const auto expect = [](const Image& image, const std::vector<uint8_t>& pixels) { EXPECT_EQ(image.pixels, pixels); };
  expect(read(rgba), {255, 0, 0, 255, 255, 255, 127, 127, 127});
  expect(read(rgba, {0, 0, 255}), {255, 0, 0, 0, 0, 255, 0, 0, 127});
  // Gray with opacity, 16 bits, a palette with a tRNS chunk, and colours that a tRNS chunk makes see-through.
  expect(read(test::made_png({.width = 2, .colour_type = 4, .pixels = std::string("\x40\xFF\x40\0", 4)})),
         {64, 64, 64, 255, 255, 255});
  expect(read(test::made_png(
             {.width = 2,
              .depth = 16,
              .pixels = std::string("\xFF\xFF\0\0\0\0\xFF\xFF", 8) + std::string("\0\0\xFF\xFF\0\0\0\0", 8)})),
         {255, 0, 0, 255, 255, 255});
  expect(read(test::made_png(
             {.width = 2,
              .colour_type = 3,
              .pixels = std::string("\0\1", 2),
              .before = {{"PLTE", std::string("\xFF\0\0\0\xFF\0", 6)}, {"tRNS", std::string("\xFF\0", 2)}}})),
         {255, 0, 0, 255, 255, 255});
  expect(read(test::made_png({.width = 2,
                              .colour_type = 2,
                              .pixels = std::string("\xFF\0\0\0\xFF\0", 6),
                              .before = {{"tRNS", std::string("\0\0\0\xFF\0\0", 6)}}})),
         {255, 0, 0, 255, 255, 255});
  // The same in WebP.
  const std::vector<uint8_t> values{255, 0, 0, 255, 0, 255, 0, 0};
  uint8_t* out = nullptr;
  const size_t size = WebPEncodeLosslessRGBA(values.data(), 2, 1, 8, &out);
  const std::string webp(reinterpret_cast<char*>(out), size);
  WebPFree(out);
  expect(read(webp), {255, 0, 0, 255, 255, 255});
  expect(read(webp, {0, 0, 255}), {255, 0, 0, 0, 0, 255});
}

TEST(PictureFiles, BackgroundColours) {
  EXPECT_EQ(colour_of("white"), kWhite);
  EXPECT_EQ(colour_of("#0a80FF"), (Colour{10, 128, 255}));
  for (const char* wrong : {"", "#", "#12345", "#1234567", "green?", "#12345g", "0a80ff"})
    EXPECT_THROW(colour_of(wrong), Error) << wrong;
}

std::string exif_of(int orientation) {
  return std::string("MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", 19) + static_cast<char>(orientation) +
         std::string(6, '\0');
}

// Exif's turning in PNG, before and after the pixels, and in WebP, as in JPEG.
TEST(PictureFiles, PngAndWebpAreTurnedUpright) {
  const test::TempFolder folder;
  const Image stored = quadrants(6, 4);
  const std::string pixels(stored.pixels.begin(), stored.pixels.end());
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Image want = turned_upright(stored, orientation);
    EXPECT_EQ(want.width, orientation >= 5 ? 4 : 6);
    for (const bool before : {true, false}) {
      test::MadePng made{.width = 6, .height = 4, .colour_type = 2, .pixels = pixels};
      (before ? made.before : made.after).emplace_back("eXIf", exif_of(orientation));
      test::write_file(folder / "a.png", test::made_png(made));
      EXPECT_EQ(read_picture({folder / "a.png"}), want) << orientation;
    }
    const std::string simple = as_webp(stored);
    const auto little = [](uint64_t value, int width) {
      const std::string big = test::big_endian(value, width);
      return std::string(big.rbegin(), big.rend());
    };
    const std::string exif = "Exif" + std::string(2, '\0') + exif_of(orientation);
    std::string body = "WEBPVP8X" + little(10, 4) + little(8, 4) + little(5, 3) + little(3, 3) + simple.substr(12) +
                       "EXIF" + little(exif.size(), 4) + exif;
    test::write_file(folder / "a.webp", "RIFF" + little(body.size(), 4) + body);
    EXPECT_EQ(read_picture({folder / "a.webp"}), want) << orientation;
  }
}

// Bytes that are not of the pixels; what is cut in its pixels is refused.
TEST(PictureFiles, JpegsWhosePixelsAreAllThere) {
  const test::TempFolder folder;
  const std::string whole = as_jpeg(quadrants(32, 32));
  const auto read = [&](const std::string& bytes) {
    test::write_file(folder / "a.jpg", bytes);
    return read_picture({folder / "a.jpg"});
  };
  const Image want = read(whole);
  EXPECT_EQ(read(whole + std::string(5000, '\0') + "more"), want);
  EXPECT_EQ(read(whole.substr(0, whole.size() - 2) + std::string(8, '\0') + whole.substr(whole.size() - 2)), want);
  EXPECT_EQ(read(whole.substr(0, whole.size() - 2)), want) << "no end mark";
  EXPECT_EQ(read(whole.substr(0, 20) + std::string(4, '\0') + whole.substr(20)), want) << "between segments";
  std::string scan = whole;
  const size_t at = scan.find("\xFF\xDA"),
               length = static_cast<uint8_t>(scan[at + 2]) << 8 | static_cast<uint8_t>(scan[at + 3]);
  for (size_t i = at + 2 + length - 3; i < at + 2 + length; ++i) scan[i] = '\0';
  EXPECT_EQ(read(scan), want) << "a baseline scan of the coefficients 0 to 0";
  for (const size_t kept : {whole.size() * 2 / 3, whole.size() - 12}) EXPECT_THROW(read(whole.substr(0, kept)), Error);
  // A progressive picture whose later scans are missing is coarse everywhere, and no part of it is gray.
  const auto choose = [](jpeg_compress_struct& jpeg) { jpeg_simple_progression(&jpeg); };
  const Image picture = quadrants(64, 64);
  const std::string progressive =
      test::made_jpeg({.width = 64, .height = 64, .row = [&](int64_t y) { return picture.row(y); }, .choose = choose});
  EXPECT_NO_THROW(read(progressive.substr(0, progressive.size() - 2)));
  EXPECT_THROW(read(progressive.substr(0, progressive.rfind("\xFF\xDA"))), Error);
  // Nothing tells whether these are whole: zeros stand in for what is missing, without a warning.
  const auto arithmetic = [](jpeg_compress_struct& jpeg) { jpeg.arith_code = TRUE; };
  const auto planes = [](jpeg_compress_struct& jpeg) {
    static const jpeg_scan_info kScans[] = {{1, {0}, 0, 63, 0, 0}, {1, {1}, 0, 63, 0, 0}, {1, {2}, 0, 63, 0, 0}};
    jpeg.scan_info = kScans;
    jpeg.num_scans = 3;
  };
  for (const std::function<void(jpeg_compress_struct&)>& odd : {std::function(arithmetic), std::function(planes)}) {
    const std::string made =
        test::made_jpeg({.width = 64, .height = 64, .row = [&](int64_t y) { return picture.row(y); }, .choose = odd});
    EXPECT_NO_THROW(read(made));
    EXPECT_THROW(read(made.substr(0, made.size() - 2)), Error);
    EXPECT_THROW(read(made.substr(0, made.size() * 2 / 3)), Error);
  }
}

std::string little_number(uint64_t value, int width) {
  const std::string big = test::big_endian(value, width);
  return {big.rbegin(), big.rend()};
}

struct MadeBmp {
  int32_t width, height;
  int depth;
  std::string pixels, palette = {};
  uint32_t compression = 0;
};
std::string made_bmp(const MadeBmp& b) {
  const std::string header = little_number(40, 4) + little_number(static_cast<uint32_t>(b.width), 4) +
                             little_number(static_cast<uint32_t>(b.height), 4) + little_number(1, 2) +
                             little_number(static_cast<uint64_t>(b.depth), 2) + little_number(b.compression, 4) +
                             std::string(12, '\0') + little_number(b.palette.size() / 4, 4) + std::string(4, '\0');
  const size_t at = 14 + header.size() + b.palette.size();
  return "BM" + little_number(at + b.pixels.size(), 4) + std::string(4, '\0') + little_number(at, 4) + header +
         b.palette + b.pixels;
}

TEST(PictureFiles, Bitmaps) {
  const test::TempFolder folder;
  const auto read = [&](const MadeBmp& bmp) {
    test::write_file(folder / "a.bmp", made_bmp(bmp));
    return read_picture({folder / "a.bmp"}).pixels;
  };
  const std::vector<uint8_t> red_blue{255, 0, 0, 0, 0, 255};
  const std::string red24("\0\0\xFF", 3), blue24("\xFF\0\0", 3), pad(2, '\0');
  EXPECT_EQ(read({2, 1, 24, red24 + blue24 + pad}), red_blue);
  // The lowest row comes first, unless the height is negative.
  EXPECT_EQ(read({1, 2, 24, blue24 + "\0" + red24 + "\0" + pad}).size(), 6u);
  const std::string column = blue24 + std::string(1, '\0') + red24 + std::string(1, '\0');
  EXPECT_EQ(read({1, 2, 24, column}), red_blue);
  EXPECT_EQ(read({1, -2, 24, column}), (std::vector<uint8_t>{0, 0, 255, 255, 0, 0}));
  EXPECT_EQ(read({2, 1, 32, red24 + "x" + blue24 + "y"}), red_blue);
  const std::string palette = red24 + std::string(1, '\0') + blue24 + std::string(1, '\0');
  EXPECT_EQ(read({2, 1, 8, std::string("\0\1\0\0", 4), palette}), red_blue);
  EXPECT_EQ(read({2, 1, 4, std::string("\x01\0\0\0", 4), palette}), red_blue);
  EXPECT_EQ(read({2, 1, 1, std::string("\x40\0\0\0", 4), palette}), red_blue);
  EXPECT_EQ(read({2, 1, 16, std::string("\0\x7C\x1F\0", 4)}), red_blue);
  EXPECT_THROW(read({2, 1, 8, std::string("\0\2\0\0", 4), palette}), Error) << "a colour beyond the palette";
  EXPECT_THROW(read({2, 1, 8, std::string("\0\1\0\0", 4), palette, 1}), Error) << "run-length coded";
  EXPECT_THROW(read({2, 2, 24, red24 + blue24 + pad}), Error) << "cut short";
  EXPECT_THROW(read({100000, 100000, 1, "x"}), Error);
  EXPECT_THROW(read({0, 1, 24, "xxxx"}), Error);
  const std::string whole = made_bmp({2, 1, 8, std::string("\0\1\0\0", 4), palette});
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const int bits : {0x01, 0x80, 0xFF}) {
      std::string file = whole;
      file[i] = static_cast<char>(file[i] ^ bits);
      test::write_file(folder / "b.bmp", file);
      try {
        read_picture({folder / "b.bmp"});
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kData);
      }
    }
    test::write_file(folder / "b.bmp", whole.substr(0, i));
    EXPECT_THROW(read_picture({folder / "b.bmp"}), Error);
  }
}

// Two colours and a see-through one, as an encoder without compression writes them: 3 bits a code, and the table
// cleared before it grows.
TEST(PictureFiles, Gifs) {
  const test::TempFolder folder;
  const std::string palette("\xFF\0\0\0\0\xFF\0\xFF\0\0\0\0", 12);
  const std::string control("\x21\xF9\x04\x01\0\0\x02\0", 8);  // colour 2 is see-through
  const std::string frame =
      "\x2C" + std::string(4, '\0') + little_number(3, 2) + little_number(1, 2) + std::string(1, '\0');
  // clear (4), 0, 1, clear, 2, end (5): 100 000 001 100 010 101, the lowest bits first.
  std::string bits;
  uint32_t packed = 0;
  int used = 0;
  for (const uint32_t code : {4u, 0u, 1u, 4u, 2u, 5u}) packed |= code << used, used += 3;
  for (int i = 0; i < 3; ++i) bits += static_cast<char>(packed >> 8 * i);
  const std::string head = "GIF89a" + little_number(3, 2) + little_number(1, 2) + std::string("\x81\0\0", 3) + palette;
  const std::string data = std::string("\x02\x03", 2) + bits + std::string(1, '\0');
  const std::string whole = head + control + frame + data + "\x3B";
  const auto read = [&](const std::string& bytes, const Colour& under = kWhite) {
    test::write_file(folder / "a.gif", bytes);
    return read_picture({folder / "a.gif"}, {}, under).pixels;
  };
  EXPECT_EQ(read(whole), (std::vector<uint8_t>{255, 0, 0, 0, 0, 255, 255, 255, 255}));
  EXPECT_EQ(read(whole, {1, 2, 3}), (std::vector<uint8_t>{255, 0, 0, 0, 0, 255, 1, 2, 3}));
  EXPECT_EQ(read(head + frame + data + "\x3B"), (std::vector<uint8_t>{255, 0, 0, 0, 0, 255, 0, 255, 0}));
  for (size_t i = 1; i + 1 < whole.size(); ++i) {
    if (i < head.size() + control.size() + frame.size() + 5) {
      EXPECT_THROW(read(whole.substr(0, i)), Error) << i;
    }
    std::string file = whole;
    file[i] = static_cast<char>(file[i] ^ 0xFF);
    try {
      read(file);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData);
    }
  }
}

}  // namespace
}  // namespace sumi::image
