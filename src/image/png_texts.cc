#include "image/png_texts.h"

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "image/text_list.h"

namespace sumi::image {
namespace {

constexpr size_t kSignature = 8, kMostKeyword = 79;
constexpr size_t kMostChunks = 64;   // looked at: each may take as long to unpack as the largest text
constexpr size_t kAroundChunk = 12;  // the size, the type and the checksum

uint32_t big32(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

// Printable Latin-1 as the standard has it: a PNG cannot be written with other keywords.
bool is_keyword(std::string_view key) {
  const auto printable = [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return (u >= 0x20 && u <= 0x7e) || u >= 0xa1;
  };
  return !key.empty() && key.size() <= kMostKeyword && key.front() != ' ' &&
         std::all_of(key.begin(), key.end(), printable);
}

struct Inflater {
  z_stream stream{};
  bool good = inflateInit(&stream) == Z_OK;

  Inflater() = default;
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

// nullopt where the stream is broken or has more than `most` bytes.
std::optional<std::string> unpacked(std::string_view packed, size_t most) {
  Inflater inflater;
  if (!inflater.good) return std::nullopt;
  z_stream& stream = inflater.stream;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));  // zlib only reads it
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string out;
  char buffer[16384];
  int status = Z_OK;
  while (status == Z_OK && out.size() <= most) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer);
    stream.avail_out = sizeof buffer;
    status = inflate(&stream, Z_NO_FLUSH);
    out.append(buffer, sizeof buffer - stream.avail_out);
  }
  if (status != Z_STREAM_END || out.size() > most) return std::nullopt;
  return out;
}

// Takes what comes before a zero byte, and that byte, off the front of `rest`; nullopt where there is none.
std::optional<std::string_view> take_field(std::string_view& rest) {
  const size_t end = rest.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view field = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return field;
}

// What follows the keyword: the text, and whether it is packed.
struct Body {
  std::string_view text;
  bool packed = false;
};

// The method of packing, of which there is one, and the text.
std::optional<Body> zipped(std::string_view rest) {
  if (!rest.starts_with('\0')) return std::nullopt;
  return Body{rest.substr(1), true};
}

// A flag and the method of packing, the language, the keyword in that language, the text.
std::optional<Body> international(std::string_view rest) {
  if (rest.size() < 2 || rest[0] < 0 || rest[0] > 1 || (rest[0] == 1 && rest[1] != 0)) return std::nullopt;
  const bool packed = rest[0] == 1;
  rest.remove_prefix(2);
  if (!take_field(rest) || !take_field(rest)) return std::nullopt;
  return Body{rest, packed};
}

std::optional<Body> body_of(std::string_view type, std::string_view rest) {
  if (type == "iTXt") return international(rest);
  return type == "zTXt" ? zipped(rest) : Body{rest};
}

void take_text(std::string_view type, std::string_view data, TextList& list) {
  const auto key = take_field(data);
  if (!key || !is_keyword(*key)) return;
  const auto body = body_of(type, data);
  if (!body) return;
  if (!body->packed) return list.add(*key, body->text.substr(0, body->text.find('\0')));
  if (const auto text = unpacked(body->text, list.room())) list.add(*key, text->substr(0, text->find('\0')));
}

bool is_text(std::string_view type) { return type == "tEXt" || type == "zTXt" || type == "iTXt"; }

bool is_intact(std::string_view type_and_data, uint32_t sum) {
  const auto* bytes = reinterpret_cast<const Bytef*>(type_and_data.data());
  return crc32(0, bytes, static_cast<uInt>(type_and_data.size())) == sum;
}

}  // namespace

std::vector<PngText> png_texts(std::span<const std::byte> bytes) {
  const std::string_view file(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  TextList list;
  for (size_t at = kSignature, looked_at = 0; at + kAroundChunk <= file.size() && looked_at < kMostChunks;) {
    const size_t size = big32(file, at);
    if (size > file.size() - at - kAroundChunk) break;
    const std::string_view type = file.substr(at + 4, 4);
    if (is_text(type)) {
      ++looked_at;
      if (is_intact(file.substr(at + 4, 4 + size), big32(file, at + 8 + size)))
        take_text(type, file.substr(at + 8, size), list);
    }
    if (type == "IEND") break;
    at += kAroundChunk + size;
  }
  return list.texts();
}

}  // namespace sumi::image
