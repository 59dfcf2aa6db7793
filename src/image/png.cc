#include "image/png.h"

#include <png.h>

#include <algorithm>
#include <cstring>

#include "base/atomic_file.h"
#include "base/check.h"
#include "image/png_texts.h"
#include "image/read.h"

// libpng reports errors by longjmp. Each function that calls setjmp below has only trivial locals; everything that owns
// memory lives in its caller, so that a jump skips no destructor. No exception passes through libpng.

namespace sumi::image {
namespace {

constexpr size_t kMaxMessage = 128;
constexpr png_uint_32 kMaxSide = 1 << 24;  // for reading and writing; libpng's default is a million

struct Trouble {
  char message[kMaxMessage] = "";
};

void on_error(png_structp png, png_const_charp message) {
  auto* trouble = static_cast<Trouble*>(png_get_error_ptr(png));
  std::strncpy(trouble->message, message, kMaxMessage - 1);
  longjmp(png_jmpbuf(png), 1);
}

void on_warning(png_structp, png_const_charp) {}

// Writing

struct Writer {
  png_structp png = nullptr;
  png_infop info = nullptr;
  Trouble trouble;
  std::vector<std::byte> out;

  Writer() {
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &trouble, on_error, on_warning);
    if (png != nullptr) info = png_create_info_struct(png);
  }
  ~Writer() { png_destroy_write_struct(&png, &info); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
};

void append(png_structp png, png_bytep data, size_t length) {
  auto* writer = static_cast<Writer*>(png_get_io_ptr(png));
  bool grown = true;
  try {
    const auto* bytes = reinterpret_cast<const std::byte*>(data);
    writer->out.insert(writer->out.end(), bytes, bytes + length);
  } catch (const std::bad_alloc&) {
    grown = false;
  }
  if (!grown) png_error(png, "out of memory");
}

bool encode(Writer& writer, const Image& image, png_text* texts, int text_count) {
  if (setjmp(png_jmpbuf(writer.png)) != 0) return false;
  png_set_write_fn(writer.png, &writer, append, nullptr);
  png_set_user_limits(writer.png, kMaxSide, kMaxSide);
  png_set_IHDR(writer.png, writer.info, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height),
               8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (text_count > 0) png_set_text(writer.png, writer.info, texts, text_count);
  png_write_info(writer.png, writer.info);
  for (int64_t y = 0; y < image.height; ++y) png_write_row(writer.png, image.row(y));
  png_write_end(writer.png, writer.info);
  return true;
}

bool is_ascii(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Reading

struct Reader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  Trouble trouble;
  std::span<const std::byte> left;

  Reader() {
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &trouble, on_error, on_warning);
    if (png != nullptr) info = png_create_info_struct(png);
  }
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
};

void take(png_structp png, png_bytep data, size_t length) {
  auto* reader = static_cast<Reader*>(png_get_io_ptr(png));
  if (length > reader->left.size()) png_error(png, "the file ends too early");
  std::memcpy(data, reader->left.data(), length);
  reader->left = reader->left.subspan(length);
}

// The header and the chunks before the pixels; after it the memory that the picture needs is known.
bool decode_header(Reader& reader) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  png_set_read_fn(reader.png, &reader, take);
  png_set_user_limits(reader.png, kMaxSide, kMaxSide);
  png_set_chunk_malloc_max(reader.png, 4 << 20);  // a compressed profile may not unpack to more
  png_set_chunk_cache_max(reader.png, 64);
  // Texts are read by png_texts.h. These chunks may come any number of times, so libpng is to skip them.
  static constexpr png_byte kSkipped[] = "tEXt\0zTXt\0iTXt\0sPLT";
  png_set_keep_unknown_chunks(reader.png, PNG_HANDLE_CHUNK_NEVER, kSkipped, 4);
  png_read_info(reader.png, reader.info);
  return true;
}

// RGB, or RGBA where the picture has opacity.
void ask_for_rgb8(Reader& reader) {
  png_set_expand(reader.png);  // opacity in a tRNS chunk too
  png_set_scale_16(reader.png);
  png_set_gray_to_rgb(reader.png);
}

bool has_opacity(const Reader& reader) {
  return (png_get_color_type(reader.png, reader.info) & PNG_COLOR_MASK_ALPHA) != 0 ||
         png_get_valid(reader.png, reader.info, PNG_INFO_tRNS) != 0;
}

bool decode_pixels(Reader& reader, Image& image) {
  if (setjmp(png_jmpbuf(reader.png)) != 0) return false;
  ask_for_rgb8(reader);
  const int passes = png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  if (png_get_rowbytes(reader.png, reader.info) != static_cast<size_t>(image.channels * image.width)) {
    png_error(reader.png, "its rows cannot be read as RGB");
  }
  for (int pass = 0; pass < passes; ++pass) {
    for (int64_t y = 0; y < image.height; ++y) png_read_row(reader.png, image.row(y), nullptr);
  }
  png_read_end(reader.png, reader.info);
  return true;
}

}  // namespace

std::vector<std::byte> encode_png(const Image& image, const std::vector<PngText>& texts) {
  SUMI_CHECK(image.channels == 3 && image.width > 0 && image.height > 0 &&
                 image.pixels.size() == static_cast<size_t>(image.width * image.height * 3),
             "a picture of {}x{} with {} channels cannot be written as RGB", image.width, image.height, image.channels);
  std::vector<png_text> chunks;
  for (const auto& [key, text] : texts) {
    png_text chunk{};
    chunk.compression = is_ascii(text) ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    chunk.key = const_cast<char*>(key.c_str());  // libpng copies both
    chunk.text = const_cast<char*>(text.c_str());
    chunk.text_length = text.size();
    chunk.itxt_length = text.size();
    chunks.push_back(chunk);
  }
  Writer writer;
  SUMI_CHECK_KIND(kUnavailable, writer.info != nullptr, "out of memory for a PNG");
  SUMI_CHECK_KIND(kInternal, encode(writer, image, chunks.data(), static_cast<int>(chunks.size())),
                  "the PNG could not be made: {}", writer.trouble.message);
  return std::move(writer.out);
}

void write_png(const std::filesystem::path& path, const Image& image, const std::vector<PngText>& texts) {
  const std::vector<std::byte> bytes = encode_png(image, texts);
  AtomicFile file(path);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

std::filesystem::path write_new_png(const std::function<std::filesystem::path()>& next, const Image& image,
                                    const std::vector<PngText>& texts) {
  const std::vector<std::byte> bytes = encode_png(image, texts);
  for (;;) {
    std::filesystem::path path = next();
    std::error_code error;
    if (std::filesystem::exists(path, error)) continue;
    AtomicFile file(path);
    file.write(bytes.data(), bytes.size());
    if (file.commit_new()) return path;
  }
}

Png decode_png(std::span<const std::byte> bytes, const std::string& name, const Background& background) {
  SUMI_CHECK(bytes.size() >= 8 && png_sig_cmp(reinterpret_cast<png_const_bytep>(bytes.data()), 0, 8) == 0,
             "{} is not a PNG file", name);
  Reader reader;
  reader.left = bytes;
  SUMI_CHECK_KIND(kUnavailable, reader.info != nullptr, "out of memory for {}", name);
  SUMI_CHECK(decode_header(reader), "{} is a broken PNG: {}", name, reader.trouble.message);
  const int64_t width = png_get_image_width(reader.png, reader.info);
  const int64_t height = png_get_image_height(reader.png, reader.info);
  check_pixels(width, height, name);
  const bool opacity = has_opacity(reader);
  Png out{Image(width, height, opacity ? 4 : 3), {}};
  SUMI_CHECK(decode_pixels(reader, out.image), "{} is a broken PNG: {}", name, reader.trouble.message);
  if (opacity) out.image = over(out.image, background);
  png_bytep exif = nullptr;
  png_uint_32 exif_bytes = 0;
  if (png_get_eXIf_1(reader.png, reader.info, &exif_bytes, &exif) != 0)
    out.image = turned_upright(out.image, exif_orientation({exif, exif_bytes}));
  out.texts = png_texts(bytes);
  return out;
}

Png read_png(const std::filesystem::path& path) { return decode_png(read_file({path}), path.string()); }

}  // namespace sumi::image
