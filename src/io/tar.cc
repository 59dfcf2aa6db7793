#include "io/tar.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string_view>

#include "base/check.h"

namespace sumi::io {
namespace {

constexpr uint64_t kBlock = 512;
constexpr uint64_t kMaxName = 64 << 10;  // of GNU's long names and pax's records
constexpr size_t kMaxEntries = 20'000'000;

// The fields of a header that matter. (POSIX.1-2001, "ustar Interchange Format")
struct Header {
  std::array<char, kBlock> bytes;
  std::string_view field(size_t at, size_t size) const {
    const std::string_view whole(bytes.data() + at, size);
    return whole.substr(0, std::min(whole.find('\0'), size));
  }
  bool empty() const {
    return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
  }
  char type() const { return bytes[156]; }
  bool is_ustar() const { return field(257, 5) == "ustar"; }
  std::string name() const {
    const std::string_view prefix = is_ustar() ? field(345, 155) : std::string_view();
    return prefix.empty() ? std::string(field(0, 100)) : std::string(prefix) + "/" + std::string(field(0, 100));
  }
  // The sum of all bytes, those of the sum itself counted as spaces.
  uint64_t sum() const {
    uint64_t total = 0;
    for (size_t i = 0; i < kBlock; ++i) total += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(bytes[i]);
    return total;
  }
};

class Reader {
 public:
  explicit Reader(const std::filesystem::path& file) : name_(file.string()), stream_(file, std::ios::binary) {
    std::error_code error;
    SUMI_CHECK_KIND(kNoInput, std::filesystem::is_regular_file(file, error), "{}: there is no such file", name_);
    SUMI_CHECK_KIND(kNoInput, stream_.is_open(), "{}: cannot be read", name_);
    size_ = std::filesystem::file_size(file, error);
  }

  std::vector<TarEntry> list() {
    std::vector<TarEntry> entries;
    std::string long_name;   // for the next entry
    uint64_t long_size = 0;  // likewise, where pax gives one
    bool has_size = false;
    for (uint64_t at = 0; at < size_;) {
      const Header header = read_header(at);
      if (header.empty()) break;  // two such end the archive; one is enough
      SUMI_CHECK(number(header, 148, 8, at) == header.sum(), "{}: no tar header at byte {}{}", name_, at,
                 at == 0 ? "; is it an uncompressed tar archive?" : "");
      uint64_t bytes = number(header, 124, 12, at);
      const char type = header.type();
      const uint64_t begin = at + kBlock;
      const bool is_file = type == '0' || type == '\0' || type == '7';
      if (is_file && has_size) bytes = long_size;
      SUMI_CHECK(bytes <= size_ && begin <= size_ - bytes, "{}: is cut short: the entry at byte {} has {} bytes", name_,
                 at, bytes);
      if (type == 'L') {
        long_name = text(begin, bytes, at);
        long_name.resize(std::min(long_name.find('\0'), long_name.size()));
      } else if (type == 'x') {
        read_pax(text(begin, bytes, at), at, long_name, long_size, has_size);
      } else if (is_file) {
        SUMI_CHECK(entries.size() < kMaxEntries, "{}: more than {} files", name_, kMaxEntries);
        entries.push_back({long_name.empty() ? header.name() : long_name, begin, bytes});
      }
      if (type != 'L' && type != 'x') {
        long_name.clear();
        has_size = false;
      }
      at = begin + (bytes + kBlock - 1) / kBlock * kBlock;
    }
    return entries;
  }

 private:
  Header read_header(uint64_t at) {
    Header header;
    stream_.seekg(static_cast<std::streamoff>(at));
    stream_.read(header.bytes.data(), kBlock);
    SUMI_CHECK(stream_.gcount() == static_cast<std::streamsize>(kBlock), "{}: is cut short at byte {}", name_, at);
    return header;
  }

  std::string text(uint64_t begin, uint64_t bytes, uint64_t at) {
    SUMI_CHECK(bytes <= kMaxName, "{}: a name of {} bytes at byte {}", name_, bytes, at);
    std::string out(bytes, '\0');
    stream_.seekg(static_cast<std::streamoff>(begin));
    stream_.read(out.data(), static_cast<std::streamsize>(bytes));
    return out;
  }

  // Octal digits, or, where the first bit is set, a number in base 256 as GNU tar writes large ones.
  uint64_t number(const Header& header, size_t from, size_t size, uint64_t at) const {
    const auto* bytes = reinterpret_cast<const unsigned char*>(header.bytes.data() + from);
    uint64_t value = 0;
    if ((bytes[0] & 0x80) != 0) {
      for (size_t i = size - 8; i < size; ++i) value = value << 8 | bytes[i];
      return value;
    }
    for (size_t i = 0; i < size && bytes[i] != 0; ++i) {
      if (bytes[i] == ' ') continue;
      SUMI_CHECK(bytes[i] >= '0' && bytes[i] <= '7', "{}: no tar header at byte {}{}", name_, at,
                 at == 0 ? "; is it an uncompressed tar archive?" : "");
      value = value << 3 | static_cast<uint64_t>(bytes[i] - '0');
    }
    return value;
  }

  // Records "LENGTH KEY=VALUE\n".
  void read_pax(const std::string& records, uint64_t at, std::string& name, uint64_t& size, bool& has_size) const {
    for (size_t begin = 0; begin < records.size();) {
      const size_t space = records.find(' ', begin);
      const bool counted = space != std::string::npos && space > begin && space - begin < 8;
      const size_t length = counted ? std::strtoul(records.c_str() + begin, nullptr, 10) : 0;
      SUMI_CHECK(counted && length > space - begin + 1 && length <= records.size() - begin,
                 "{}: a broken pax header at byte {}", name_, at);
      const std::string_view record(records.data() + space + 1, length - (space - begin) - 2);
      const size_t equals = record.find('=');
      if (equals != std::string_view::npos && record.substr(0, equals) == "path") name = record.substr(equals + 1);
      if (equals != std::string_view::npos && record.substr(0, equals) == "size") {
        size = std::strtoull(std::string(record.substr(equals + 1)).c_str(), nullptr, 10);
        has_size = true;
      }
      begin += length;
    }
  }

  std::string name_;
  std::ifstream stream_;
  uint64_t size_ = 0;
};

}  // namespace

std::vector<TarEntry> list_tar(const std::filesystem::path& file) { return Reader(file).list(); }

}  // namespace sumi::io
