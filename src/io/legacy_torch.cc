#include "io/legacy_torch.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/check.h"
#include "base/text_util.h"
#include "core/dtype.h"

namespace sumi::io {
namespace {

using Kind = PickleValue::Kind;

// The first pickle: protocol 2, the number 0x1950a86a20f9469cfc6c as ten bytes, end.
constexpr std::array<uint8_t, 15> kMagic{0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                         0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};
constexpr int64_t kProtocol = 1001;
constexpr size_t kMostStorages = 100'000;
constexpr uint64_t kMostBytes = 64 << 20;  // of the pickles together

// The storages that tensors of the object lie in, each once.
std::map<std::string, const PickleValue*> storages_of(const Pickle& pickle) {
  std::map<std::string, const PickleValue*> found;
  for (const auto& value : pickle.values) {
    if (value->kind == Kind::kStorage) found.emplace(value->text, value.get());
  }
  return found;
}

uint64_t number_at(std::span<const uint8_t> contents, size_t at) {
  uint64_t value = 0;
  for (size_t i = 8; i-- > 0;) value = value << 8 | contents[at + i];
  return value;
}

}  // namespace

bool is_legacy_torch(std::span<const uint8_t> contents) {
  return contents.size() > kMagic.size() && std::equal(kMagic.begin(), kMagic.end(), contents.begin());
}

LegacyTorch read_legacy_torch(std::span<const uint8_t> contents, const std::string& file) {
  SUMI_CHECK(is_legacy_torch(contents), "{}: is not a torch checkpoint", file);
  size_t at = kMagic.size();
  const auto next = [&] {
    Pickle pickle = read_pickle(contents.subspan(at, std::min<size_t>(contents.size() - at, kMostBytes)), file);
    at += pickle.bytes;
    return pickle;
  };
  const Pickle protocol = next();
  SUMI_CHECK(protocol.root->kind == Kind::kInt && protocol.root->integer == kProtocol,
             "{}: is a torch checkpoint of an unknown version", file);
  const Pickle machine = next();
  for (const auto& [key, value] : machine.root->entries) {
    const bool big =
        key->kind == Kind::kString && key->text == "little_endian" && value->kind == Kind::kBool && value->integer == 0;
    SUMI_CHECK(!big, "{}: was written on a big-endian machine; save it again on a little-endian one", file);
  }
  LegacyTorch out{.pickle = next(), .storages = {}};
  const Pickle keys = next();
  SUMI_CHECK(keys.root->kind == Kind::kList && keys.root->items.size() <= kMostStorages,
             "{}: has no list of its storages", file);
  const std::map<std::string, const PickleValue*> needed = storages_of(out.pickle);
  for (const PickleValue* key : keys.root->items) {
    SUMI_CHECK(key->kind == Kind::kString, "{}: a storage's key is not text", file);
    const auto found = needed.find(key->text);
    const std::string shown = shorten(strip_control(key->text), 60);
    SUMI_CHECK(found != needed.end(), "{}: the storage \"{}\" belongs to no tensor", file, shown);
    SUMI_CHECK(contents.size() - at >= 8, "{}: ends before the storage \"{}\"; was the download cut off?", file, shown);
    const uint64_t count = number_at(contents, at);
    const auto width = static_cast<uint64_t>(size_of(found->second->dtype));
    at += 8;
    SUMI_CHECK(count <= (contents.size() - at) / width,
               "{}: the storage \"{}\" has {} values, and {} bytes are left; was the download cut off?", file, shown,
               count, contents.size() - at);
    const bool fresh = out.storages.emplace(key->text, StorageBytes{at, count * width}).second;
    SUMI_CHECK(fresh, "{}: the storage \"{}\" is there twice", file, shown);
    at += count * width;
  }
  return out;
}

}  // namespace sumi::io
