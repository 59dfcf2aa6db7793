#include "io/zip_reader.h"

#include <zlib.h>

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/text_util.h"

namespace sumi::io {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50, kDirectoryHeader = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50,
                   kLocator64 = 0x07064b50;
constexpr uint64_t kMaxEntries = 400'000;

// Reads little-endian numbers at checked positions.
class Bytes {
 public:
  Bytes(std::span<const uint8_t> contents, const std::string& file) : contents_(contents), file_(file) {}

  uint64_t size() const { return contents_.size(); }
  uint64_t number(uint64_t at, int width) const {
    need(at, static_cast<uint64_t>(width));
    uint64_t value = 0;
    for (int i = width - 1; i >= 0; --i) value = value << 8 | contents_[at + static_cast<uint64_t>(i)];
    return value;
  }
  uint16_t u16(uint64_t at) const { return static_cast<uint16_t>(number(at, 2)); }
  uint32_t u32(uint64_t at) const { return static_cast<uint32_t>(number(at, 4)); }
  uint64_t u64(uint64_t at) const { return number(at, 8); }
  std::string text(uint64_t at, uint64_t length) const {
    need(at, length);
    return {reinterpret_cast<const char*>(contents_.data()) + at, static_cast<size_t>(length)};
  }
  void need(uint64_t at, uint64_t length) const {
    SUMI_CHECK(at <= size() && length <= size() - at, "{}: the zip directory points beyond the file (byte {})", file_,
               at);
  }

 private:
  std::span<const uint8_t> contents_;
  const std::string& file_;
};

struct Directory {
  uint64_t offset, size, entries;
};

// The end record is the last 22 bytes but for a comment of at most 65,535.
Directory find_directory(const Bytes& bytes, const std::string& file) {
  const uint64_t lowest = bytes.size() > 22 + 65535 ? bytes.size() - 22 - 65535 : 0;
  for (uint64_t at = bytes.size() >= 22 ? bytes.size() - 22 + 1 : 0; at-- > lowest;) {
    if (bytes.u32(at) != kEnd || at + 22 + bytes.u16(at + 20) != bytes.size()) continue;
    Directory d{bytes.u32(at + 16), bytes.u32(at + 12), bytes.u16(at + 10)};
    SUMI_CHECK(bytes.u16(at + 4) == 0 && bytes.u16(at + 6) == 0, "{}: is one part of a split zip archive", file);
    if (at >= 20 && bytes.u32(at - 20) == kLocator64) {
      const uint64_t end64 = bytes.u64(at - 20 + 8);
      bytes.need(end64, 56);
      SUMI_CHECK(bytes.u32(end64) == kEnd64 && end64 + 56 <= at - 20,
                 "{}: its zip64 end record is not at its stated offset", file);
      d = {bytes.u64(end64 + 48), bytes.u64(end64 + 40), bytes.u64(end64 + 32)};
    }
    SUMI_CHECK(d.offset <= at && d.size <= at - d.offset, "{}: the zip directory lies outside the file", file);
    SUMI_CHECK(d.entries <= kMaxEntries && d.entries * 46 <= d.size,
               "{}: {} zip entries do not fit a directory of {} bytes", file, d.entries, d.size);
    return d;
  }
  fail(ErrorKind::kData, "{}: the zip archive has no end; is the download complete?", file);
}

// Replaces what the 32-bit fields leave open by the zip64 field's values.
void read_zip64(const Bytes& bytes, uint64_t extra, uint64_t length, uint64_t& size, uint64_t& packed, uint64_t& offset,
                const std::string& file) {
  for (uint64_t at = extra; at + 4 <= extra + length;) {
    const uint64_t kind = bytes.u16(at), width = bytes.u16(at + 2);
    SUMI_CHECK(at + 4 + width <= extra + length, "{}: a zip entry's extra field is longer than stated", file);
    if (kind == 1) {
      uint64_t from = at + 4;
      for (uint64_t* field : {&size, &packed, &offset}) {
        if (*field != 0xffffffffu) continue;
        SUMI_CHECK(from + 8 <= at + 4 + width, "{}: a zip64 field is missing its sizes", file);
        *field = bytes.u64(from);
        from += 8;
      }
      return;
    }
    at += 4 + width;
  }
}

void check_name(const std::string& name, const std::string& file) {
  const std::string shown = strip_control(name.substr(0, 80));
  SUMI_CHECK(
      !name.empty() && name[0] != '/' && name.find('\\') == std::string::npos && name.find('\0') == std::string::npos,
      "{}: has a zip entry with the name \"{}\"", file, shown);
  SUMI_CHECK(("/" + name + "/").find("/../") == std::string::npos, "{}: the zip entry \"{}\" leads out of the archive",
             file, shown);
}

// The local header must say what the directory says; returns where the bytes begin.
uint64_t check_local_header(const Bytes& bytes, const ZipEntry& entry, uint64_t header, bool sizes_follow,
                            const std::string& file) {
  const std::string shown = strip_control(entry.name);
  bytes.need(header, 30);
  SUMI_CHECK(bytes.u32(header) == kLocalHeader, "{}: zip entry \"{}\" is not where the directory says", file, shown);
  const uint64_t name_length = bytes.u16(header + 26), extra_length = bytes.u16(header + 28);
  SUMI_CHECK(bytes.text(header + 30, name_length) == entry.name,
             "{}: zip entry \"{}\" has another name in its own header", file, shown);
  uint64_t size = bytes.u32(header + 22), packed = bytes.u32(header + 18), unused = 0;
  read_zip64(bytes, header + 30 + name_length, extra_length, size, packed, unused, file);
  SUMI_CHECK(bytes.u16(header + 8) == 0, "{}: zip entry \"{}\" is compressed in its own header", file, shown);
  SUMI_CHECK(sizes_follow || (size == entry.size && packed == entry.size),
             "{}: zip entry \"{}\" has {} bytes by the directory and {} by its own header", file, shown, entry.size,
             size);
  const uint64_t begin = header + 30 + name_length + extra_length;
  bytes.need(begin, entry.size);
  return begin;
}

}  // namespace

std::vector<ZipEntry> read_zip_directory(std::span<const uint8_t> contents, const std::string& file) {
  const Bytes bytes(contents, file);
  const Directory directory = find_directory(bytes, file);
  std::vector<ZipEntry> entries;
  std::set<std::string> names;
  std::vector<std::pair<uint64_t, uint64_t>> spans;  // of each entry with its header
  uint64_t at = directory.offset;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    bytes.need(at, 46);
    SUMI_CHECK(bytes.u32(at) == kDirectoryHeader, "{}: the zip directory is broken at byte {}", file, at);
    const uint16_t flags = bytes.u16(at + 8), method = bytes.u16(at + 10);
    const uint64_t name_length = bytes.u16(at + 28), extra_length = bytes.u16(at + 30),
                   comment_length = bytes.u16(at + 32);
    ZipEntry entry{.name = bytes.text(at + 46, name_length), .size = bytes.u32(at + 24), .crc = bytes.u32(at + 16)};
    uint64_t packed = bytes.u32(at + 20), header = bytes.u32(at + 42);
    read_zip64(bytes, at + 46 + name_length, extra_length, entry.size, packed, header, file);
    at += 46 + name_length + extra_length + comment_length;
    const std::string shown = strip_control(entry.name.substr(0, 80));
    check_name(entry.name, file);
    SUMI_CHECK(names.insert(entry.name).second, "{}: the zip entry \"{}\" appears twice", file, shown);
    SUMI_CHECK((flags & 0x2041) == 0, "{}: the zip entry \"{}\" is encrypted", file, shown);
    SUMI_CHECK(method == 0,
               "{}: the zip entry \"{}\" is compressed, which torch.save never does; save the checkpoint again with "
               "torch.save",
               file, shown);
    SUMI_CHECK(packed == entry.size, "{}: the stored zip entry \"{}\" has two sizes, {} and {}", file, shown, packed,
               entry.size);
    SUMI_CHECK(header < directory.offset, "{}: the zip entry \"{}\" begins beyond the directory", file, shown);
    entry.offset = check_local_header(bytes, entry, header, (flags & 8) != 0, file);
    SUMI_CHECK(entry.offset + entry.size <= directory.offset, "{}: the zip entry \"{}\" runs into the directory", file,
               shown);
    spans.emplace_back(header, entry.offset + entry.size);
    if (entry.name.back() != '/') entries.push_back(std::move(entry));
  }
  std::sort(spans.begin(), spans.end());
  for (size_t i = 1; i < spans.size(); ++i) {
    SUMI_CHECK(spans[i - 1].second <= spans[i].first, "{}: two zip entries overlap at byte {}", file, spans[i].first);
  }
  return entries;
}

void check_crc(std::span<const uint8_t> contents, const ZipEntry& entry, const std::string& file) {
  const uLong crc = crc32_z(0, contents.data() + entry.offset, static_cast<size_t>(entry.size));
  SUMI_CHECK(crc == entry.crc, "{}: the zip entry \"{}\" is damaged (its checksum differs); download the file again",
             file, strip_control(entry.name));
}

}  // namespace sumi::io
